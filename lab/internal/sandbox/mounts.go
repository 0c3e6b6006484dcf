package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Pseudo file systems get these flags everywhere.
const pseudo = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// mountAll turns the copy of the host's mounts that a new mount namespace starts with into the node's own view: its own
// /run, /proc, /sys, /var/log and cgroups, the rest shared with the host as files.
func mountAll(layout Layout) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part from the host's mounts: %w", err)
	}
	steps := []func(Layout) error{mountRun, mountProc, mountSys, mountLogs}
	for _, step := range steps {
		if err := step(layout); err != nil {
			return err
		}
	}
	// Pods with mount propagation need shared mounts; they are shared among the lab's namespaces alone.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts inside the lab: %w", err)
	}
	return nil
}

// mountRun hides the host's /run, except for the lab's own directory in it.
func mountRun(layout Layout) error {
	shared, err := unix.Open(layout.RunDir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", layout.RunDir, err)
	}
	defer unix.Close(shared)
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	netns := filepath.Join(layout.RunDir, "netns")
	if err := os.MkdirAll(layout.RunDir, 0o700); err != nil {
		return err
	}
	source := fmt.Sprintf("/proc/self/fd/%d", shared)
	if err := mount(source, layout.RunDir, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(netns, 0o755), os.MkdirAll("/run/netns", 0o755), os.MkdirAll("/run/lock", 0o755)); err != nil {
		return err
	}
	return mount("tmpfs", netns, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
}

// mountProc shows the processes of the lab. The kernel settings that a kubelet makes are not of any namespace: it would
// change how the host handles memory and panics. It gets files in their place.
func mountProc(Layout) error {
	if err := mount("proc", "/proc", "proc", pseudo, ""); err != nil {
		return err
	}
	const decoys = "/run/sysctl"
	if err := os.MkdirAll(decoys, 0o755); err != nil {
		return err
	}
	// The list is that of k8s.io/kubernetes/pkg/kubelet/cm, setupKernelTunables.
	for _, name := range []string{
		"vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
		"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
	} {
		real := filepath.Join("/proc/sys", name)
		value, err := os.ReadFile(real)
		if err != nil {
			return err
		}
		decoy := filepath.Join(decoys, filepath.Base(name))
		if err := os.WriteFile(decoy, value, 0o644); err != nil {
			return err
		}
		if err := mount(decoy, real, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// mountSys shows the network devices of the node's namespace and its cgroups as the root ones.
func mountSys(Layout) error {
	if err := mount("sysfs", "/sys", "sysfs", pseudo, ""); err != nil {
		return err
	}
	content, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	hierarchies := cgroupHierarchies(string(content))
	if len(hierarchies) == 1 && hierarchies[0].controllers == "" {
		return mountUnified()
	}
	if err := mount("tmpfs", "/sys/fs/cgroup", "tmpfs", pseudo, "mode=755"); err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		if err := hierarchy.mount("/sys/fs/cgroup"); err != nil {
			return err
		}
	}
	return nil
}

// hierarchy is one line of /proc/PID/cgroup; no controllers means cgroup v2.
type hierarchy struct{ controllers string }

func cgroupHierarchies(procCgroup string) []hierarchy {
	var all []hierarchy
	for line := range strings.Lines(procCgroup) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			all = append(all, hierarchy{controllers: parts[1]})
		}
	}
	return all
}

func (h hierarchy) mount(root string) error {
	if h.controllers == "" {
		dir := filepath.Join(root, "unified")
		return errors.Join(os.MkdirAll(dir, 0o755), mount("cgroup2", dir, "cgroup2", pseudo, ""))
	}
	name, options := h.controllers, h.controllers
	if named, ok := strings.CutPrefix(h.controllers, "name="); ok {
		name, options = named, "none,"+h.controllers
	}
	dir := filepath.Join(root, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := mount("cgroup", dir, "cgroup", pseudo, options); err != nil {
		return err
	}
	// Controllers that share a hierarchy are found under each of their names.
	for alias := range strings.SplitSeq(name, ",") {
		if alias == name {
			continue
		}
		if err := os.Symlink(name, filepath.Join(root, alias)); err != nil {
			return err
		}
	}
	return nil
}

// mountUnified mounts cgroup v2 and moves this process into a leaf, as controllers can be given to children only by a
// cgroup without processes of its own (cgroups(7), "no internal processes").
func mountUnified() error {
	const root = "/sys/fs/cgroup"
	if err := mount("cgroup2", root, "cgroup2", pseudo, ""); err != nil {
		return err
	}
	leaf := filepath.Join(root, "init")
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return fmt.Errorf("move into cgroup %s: %w", leaf, err)
	}
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(controllers)) {
		if err := os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+name), 0o644); err != nil {
			return fmt.Errorf("enable cgroup controller %s: %w", name, err)
		}
	}
	return nil
}

// mountLogs gives the kubelet's fixed log directories a place of the lab.
func mountLogs(layout Layout) error {
	source := filepath.Join(layout.StateDir, "node-log")
	return errors.Join(os.MkdirAll(source, 0o755), mount(source, "/var/log", "", unix.MS_BIND, ""))
}

func mount(source, target, kind string, flags uintptr, options string) error {
	if err := unix.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}
