package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/lab/internal/cgroup"
)

// labCgroups returns the lab's directory in each hierarchy of the host, whether it exists or not.
func labCgroups(layout Layout) ([]string, error) {
	points, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	for i, point := range points {
		points[i] = filepath.Join(point, layout.Cgroup)
	}
	return points, nil
}

// joinCgroups makes the lab's cgroups and moves the calling process into them.
func joinCgroups(layout Layout) error {
	points, err := cgroup.Hierarchies()
	if err != nil {
		return err
	}
	for _, point := range points {
		if err := cgroup.Make(point, layout.Cgroup); err != nil {
			return err
		}
		procs := filepath.Join(point, layout.Cgroup, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("join cgroup %s: %w", procs, err)
		}
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
		for _, pid := range cgroup.Processes(dir) {
			pids[pid] = true
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
		tree := cgroup.Tree(dir)
		for i := len(tree) - 1; i >= 0; i-- {
			if err := unix.Rmdir(tree[i]); err != nil && !errors.Is(err, unix.ENOENT) {
				errs = append(errs, fmt.Errorf("remove cgroup %s: %w", tree[i], err))
			}
		}
	}
	return errors.Join(errs...)
}
