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

// flushTime is beyond that of Envoy's statistics: what is counted then is from after the listeners were closed.
const flushTime = 6 * time.Second

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

// drain tells a proxy to drain, and notes which process that is, when it closes its listeners, and when it is stopped at the
// latest, in the host's uptime. One that cannot be told has had its time.
func (h *Host) drain(ctx context.Context, step plan.DrainProxy) error {
	slot, closes := step.Slot, h.uptime()+step.Time
	deadline := closes + step.Deadline
	if err := h.admin.Drain(ctx, slot.Ports().Admin); err != nil {
		h.log.Warn("the former proxy cannot be told to drain, it is stopped at once", "slot", string(slot), "error", err)
		closes, deadline = 0, 0
	}
	states, err := h.unitStates.States(ctx, slot.Unit())
	if err != nil {
		return err
	}
	note := fmt.Sprintf("%d %d %d\n", states[slot.Unit()].PID, closes.Milliseconds(), deadline.Milliseconds())
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
	var closes, deadline int64
	if n, _ := fmt.Sscanf(string(note.Content), "%d %d %d", &pid, &closes, &deadline); n != 3 || pid != state.PID {
		return false, false, nil
	}
	switch now := h.uptime().Milliseconds(); {
	case now >= deadline:
		return true, true, nil
	case now < closes+flushTime.Milliseconds():
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
