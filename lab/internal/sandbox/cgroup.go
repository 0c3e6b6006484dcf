package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupMounts returns the mount points of all cgroup hierarchies, from the text of /proc/PID/mountinfo (proc(5)): one
// with cgroup v2, one for each controller set with v1.
func cgroupMounts(mountinfo string) []string {
	var points []string
	for line := range strings.Lines(mountinfo) {
		fields, rest, ok := strings.Cut(line, " - ")
		left := strings.Fields(fields)
		if !ok || len(left) < 5 {
			continue
		}
		if kind, _, _ := strings.Cut(rest, " "); kind == "cgroup" || kind == "cgroup2" {
			points = append(points, left[4])
		}
	}
	return points
}

// labCgroups returns the lab's directory in each hierarchy of the host, whether it exists or not.
func labCgroups(layout Layout) ([]string, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroup hierarchies: %w", err)
	}
	points := cgroupMounts(string(mountinfo))
	for i, point := range points {
		points[i] = filepath.Join(point, layout.Cgroup)
	}
	return points, nil
}

// joinCgroups makes the lab's cgroups and moves the calling process into them.
func joinCgroups(layout Layout) error {
	dirs, err := labCgroups(layout)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the lab's cgroup: %w", err)
		}
		// A new v1 cpuset has no processors and no memory nodes, and takes no process before it has.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			if err := inheritSetting(dir, file); err != nil {
				return err
			}
		}
		procs := filepath.Join(dir, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("join cgroup %s: %w", dir, err)
		}
	}
	return nil
}

func inheritSetting(dir, file string) error {
	path := filepath.Join(dir, file)
	own, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || strings.TrimSpace(string(own)) != "" {
		return nil
	}
	parent, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
	if err != nil || strings.TrimSpace(string(parent)) == "" {
		return nil // cgroup v2 inherits by itself
	}
	if err := os.WriteFile(path, parent, 0o644); err != nil {
		return fmt.Errorf("set %s: %w", path, err)
	}
	return nil
}

// cgroupProcesses lists the processes in the lab's cgroups.
func cgroupProcesses(layout Layout) (map[int]bool, error) {
	dirs, err := labCgroups(layout)
	if err != nil {
		return nil, err
	}
	pids := map[int]bool{}
	for _, dir := range dirs {
		for _, leaf := range cgroupTree(dir) {
			content, err := os.ReadFile(filepath.Join(leaf, "cgroup.procs"))
			if err != nil {
				continue // removed meanwhile
			}
			for field := range strings.FieldsSeq(string(content)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					pids[pid] = true
				}
			}
		}
	}
	return pids, nil
}

// removeCgroups removes the lab's cgroups, the deepest first. It fails with EBUSY while processes are in them.
func removeCgroups(layout Layout) error {
	dirs, err := labCgroups(layout)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		tree := cgroupTree(dir)
		for i := len(tree) - 1; i >= 0; i-- {
			if err := unix.Rmdir(tree[i]); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove cgroup %s: %w", tree[i], err))
			}
		}
	}
	return errors.Join(errs...)
}

// cgroupTree lists a directory and all below it, parents first; an absent one has none.
func cgroupTree(root string) []string {
	var dirs []string
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
