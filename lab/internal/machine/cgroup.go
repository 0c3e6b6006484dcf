package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/lab/internal/cgroup"
)

// cgroups is one machine's cgroup in every hierarchy of the host: one of version 2, or several of version 1. A machine
// has its own in all of them, because its systemd takes the cgroup that it starts in for the root and would otherwise
// manage the host's.
type cgroups []string

func makeCgroups(path string) (cgroups, error) {
	mounts, err := cgroup.Hierarchies()
	if err != nil {
		return nil, err
	}
	var groups cgroups
	for _, mount := range mounts {
		group := filepath.Join(mount, path)
		if err := cgroup.Make(mount, path); err != nil {
			return nil, errors.Join(err, groups.remove())
		}
		groups = append(groups, group)
	}
	if len(groups) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted")
	}
	// A crash may have left processes of an earlier boot.
	return groups, groups.kill()
}

// removeEmptyCgroups removes the parent of all machines' cgroups where no machine is left.
func removeEmptyCgroups(path string) {
	mounts, err := cgroup.Hierarchies()
	if err != nil {
		return
	}
	for _, mount := range mounts {
		// The kernel refuses while there are children: then they are not ours alone.
		_ = os.Remove(filepath.Join(mount, path))
	}
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
		pids = append(pids, cgroup.Processes(group)...)
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
		folders := cgroup.Tree(group)
		slices.Reverse(folders)
		for _, folder := range folders {
			if err := os.Remove(folder); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, fmt.Errorf("remove cgroup: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
