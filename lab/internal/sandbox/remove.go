package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Remove ends the sandbox, however it is, and takes away what it has on the host, except for the state directory. It is
// safe to call when there is nothing, and after a crash at any point.
func Remove(ctx context.Context, layout Layout) error {
	identity, running, err := Running(layout)
	if err != nil {
		return err
	}
	if running {
		if err := endInit(ctx, identity); err != nil {
			return err
		}
	}
	if err := killStrays(ctx, layout); err != nil {
		return err
	}
	if err := poll(ctx, 10*time.Second, func() error { return removeCgroups(layout) }); err != nil {
		return err
	}
	if err := removeHostLink(layout); err != nil {
		return err
	}
	if err := os.RemoveAll(layout.RunDir); err != nil {
		return fmt.Errorf("remove the run directory: %w", err)
	}
	return nil
}

// endInit asks the sandbox to stop in order, and kills it when that takes too long.
func endInit(ctx context.Context, identity Identity) error {
	gone := func() error {
		if identity.alive() {
			return fmt.Errorf("process %d of the lab still runs", identity.PID)
		}
		return nil
	}
	if err := unix.Kill(identity.PID, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stop the lab: %w", err)
	}
	if poll(ctx, 20*time.Second, gone) == nil {
		return nil
	}
	if err := unix.Kill(identity.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill the lab: %w", err)
	}
	return poll(ctx, 20*time.Second, gone)
}

// killStrays ends processes in the lab's cgroups: an init that crashed before it had written who it is, and what it started.
func killStrays(ctx context.Context, layout Layout) error {
	return poll(ctx, 20*time.Second, func() error {
		pids, err := cgroupProcesses(layout)
		if err != nil {
			return err
		}
		for pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL) // it may have ended meanwhile
		}
		if len(pids) > 0 {
			return fmt.Errorf("%d processes of the lab still run", len(pids))
		}
		return nil
	})
}

// poll calls check until it returns nil, for at most the time given, and returns its last error.
func poll(ctx context.Context, most time.Duration, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return err
		}
	}
}
