package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/host/unit"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

const (
	// retireTime is how long callers' connections to a former proxy may go on after it has closed its listeners.
	retireTime = time.Minute
	// flushTime is beyond that of Envoy's statistics: what is counted then is from after the listeners were closed.
	flushTime = 6 * time.Second
)

// startBeside starts a proxy beside another one. If it does not get ready it is stopped, or else its listeners would go on taking what it does not serve.
func (h *Host) startBeside(ctx context.Context, slot plan.Slot) error {
	err := h.unitControl.Start(ctx, slot.Unit())
	if err == nil {
		err = h.await(ctx, slot)
	}
	if err != nil && ctx.Err() == nil {
		return errors.Join(err, h.unitControl.Stop(ctx, slot.Unit()))
	}
	return err
}

func (h *Host) await(ctx context.Context, slot plan.Slot) error {
	if err := h.health.Await(ctx, slot.Ports().Status, readyTime); err != nil {
		return fmt.Errorf("%w; journalctl -u %s tells more", err, slot.Unit())
	}
	return nil
}

// drain tells a proxy to drain, and notes which process that is and when it closes its listeners, in the host's uptime. One that cannot be told has had its time.
func (h *Host) drain(ctx context.Context, step plan.DrainProxy) error {
	slot, closes := step.Slot, h.uptime()+step.Time
	if err := h.admin.Drain(ctx, slot.Ports().Admin); err != nil {
		h.log.Warn("the former proxy cannot be told to drain, it is stopped at once", "slot", string(slot), "error", err)
		closes = -retireTime
	}
	states, err := h.unitStates.States(ctx, slot.Unit())
	if err != nil {
		return err
	}
	note := fmt.Sprintf("%d %d\n", states[slot.Unit()].PID, closes.Milliseconds())
	return h.tree.Write(slot.DrainMarker(), []byte(note), 0o644, file.Number(plan.Root))
}

// drains reads that note, if it is of the process that runs, and sees whether it is over.
func (h *Host) drains(ctx context.Context, slot plan.Slot, state unit.State) (draining, drained bool, err error) {
	note, err := h.tree.Read(slot.DrainMarker())
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	var pid int
	var milliseconds int64
	if n, _ := fmt.Sscanf(string(note.Content), "%d %d", &pid, &milliseconds); n != 2 || pid != state.PID {
		return false, false, nil
	}
	closes := time.Duration(milliseconds) * time.Millisecond
	switch now := h.uptime(); {
	case now >= closes+retireTime:
		return true, true, nil
	case now < closes+flushTime:
		return true, false, nil
	}
	open, err := h.admin.Connections(ctx, slot.Ports().Admin)
	if err != nil {
		h.log.Warn("the former proxy does not tell its connections", "slot", string(slot), "error", err)
	}
	return true, open == 0, nil
}

// uptime goes on while the host sleeps, and is nobody's to set.
func uptime() time.Duration {
	var now unix.Timespec
	// It fails for clocks that there are not.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano())
}
