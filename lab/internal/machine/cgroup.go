package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cgroups is one machine's cgroup in every hierarchy of the host: one of version 2, or several of version 1. A machine
// has its own in all of them, because its systemd takes the cgroup that it starts in for the root and would otherwise
// manage the host's.
type cgroups []string

func makeCgroups(path string) (cgroups, error) {
	mounts, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var groups cgroups
	for _, mount := range mounts {
		group := filepath.Join(mount, path)
		if err := makeCgroup(mount, path); err != nil {
			return nil, errors.Join(fmt.Errorf("make cgroup %s: %w", group, err), groups.remove())
		}
		groups = append(groups, group)
	}
	if len(groups) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted")
	}
	// A crash may have left processes of an earlier boot.
	return groups, groups.kill()
}

// hierarchies are the mount points of the host's.
func hierarchies() ([]string, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	return cgroupMounts(string(mountinfo)), err
}

// cgroupMounts finds the mount points of all hierarchies, as described in proc_pid_mountinfo(5).
func cgroupMounts(mountinfo string) []string {
	var mounts []string
	for line := range strings.Lines(mountinfo) {
		fields, rest, found := strings.Cut(line, " - ")
		kind, _, _ := strings.Cut(rest, " ")
		if !found || kind != "cgroup" && kind != "cgroup2" {
			continue
		}
		if mount := strings.Fields(fields)[4]; !slices.Contains(mounts, mount) {
			mounts = append(mounts, mount)
		}
	}
	return mounts
}

// removeEmptyCgroups removes the parent of all machines' cgroups where no machine is left.
func removeEmptyCgroups(path string) {
	mounts, err := hierarchies()
	if err != nil {
		return
	}
	for _, mount := range mounts {
		// The kernel refuses while there are children: then they are not ours alone.
		_ = os.Remove(filepath.Join(mount, path))
	}
}

// makeCgroup makes each level of path. A new cgroup of the cpuset hierarchy (version 1) admits no process until it has
// been given CPUs and memory nodes; it gets its parent's.
func makeCgroup(mount, path string) error {
	parent := mount
	for _, name := range strings.Split(path, "/") {
		group := filepath.Join(parent, name)
		if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
			current, err := os.ReadFile(filepath.Join(group, setting))
			if errors.Is(err, os.ErrNotExist) || len(bytes.TrimSpace(current)) != 0 {
				continue
			}
			// Version 2 has an empty value of its own accord, and for the root no file at all.
			inherited, err := os.ReadFile(filepath.Join(parent, setting))
			if err != nil || len(bytes.TrimSpace(inherited)) == 0 {
				continue
			}
			if err := os.WriteFile(filepath.Join(group, setting), inherited, 0o644); err != nil {
				return err
			}
		}
		parent = group
	}
	return nil
}

// join is argv preceded by a shell that enters the cgroups and becomes the command: what the command forks is inside
// from its first instruction.
func (c cgroups) join(argv []string) []string {
	const script = `while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"`
	return slices.Concat([]string{"/bin/sh", "-c", script, "sh"}, c, []string{"--"}, argv)
}

// killTimeout is how long processes that were sent SIGKILL may take to be gone: they may be writing to a slow disk.
const killTimeout = 10 * time.Second

// kill ends every process of the machine, and returns when they are gone.
func (c cgroups) kill() error {
	ctx, cancel := context.WithTimeout(context.Background(), killTimeout)
	defer cancel()
	for {
		pids := c.processes()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := killAndWait(ctx, pid); err != nil {
				return err
			}
		}
	}
}

// processes lists what runs in any of the cgroups or below.
func (c cgroups) processes() []int {
	var pids []int
	for _, group := range c {
		// A folder or a process that vanishes on the way is what we want.
		_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return nil
			}
			list, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
			if err != nil {
				return nil
			}
			for _, field := range strings.Fields(string(list)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					pids = append(pids, pid)
				}
			}
			return nil
		})
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// killAndWait goes through a pidfd, which never means another process, and can be waited on by others than the parent.
func killAndWait(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	for {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		ready, err := unix.Poll(poll, 100)
		switch {
		case ready > 0:
			return nil
		case err != nil && !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("wait for process %d: %w", pid, err)
		case ctx.Err() != nil:
			return fmt.Errorf("process %d does not end", pid)
		}
	}
}

// remove kills what is left and removes the cgroups, deepest first.
func (c cgroups) remove() error {
	errs := []error{c.kill()}
	for _, group := range c {
		var folders []string
		_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders = append(folders, path)
			}
			return nil
		})
		slices.Reverse(folders)
		for _, folder := range folders {
			if err := os.Remove(folder); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove cgroup: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
