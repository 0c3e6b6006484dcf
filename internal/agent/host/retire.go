package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
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

// retire stops a proxy that has drained. The note goes first: whoever is killed in between drains it again.
func (h *Host) retire(ctx context.Context, slot plan.Slot) error {
	if err := h.tree.Remove(slot.DrainMarker()); err != nil {
		return err
	}
	return h.unitControl.Stop(ctx, slot.Unit())
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

// observeMigration is empty on a kernel that is older than the setting.
func (h *Host) observeMigration() (plan.Migration, error) {
	content, err := os.ReadFile(h.tree.Path(plan.MigrateRequestsSetting))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return plan.Migration(strings.TrimSpace(string(content))), err
}

func (h *Host) migrateRequests() error {
	if err := h.set(plan.MigrateRequestsSetting, string(plan.Migrates)); err != nil {
		h.log.Warn("the kernel does not let it be set: a connection may be reset when the former proxy closes its listeners", "error", err)
	}
	return nil
}

// set writes a setting of the kernel's, which is no file that could be replaced. One that has the value already is not written, as it may be read-only.
func (h *Host) set(setting, value string) error {
	at := h.tree.Path(setting)
	if content, err := os.ReadFile(at); errors.Is(err, fs.ErrNotExist) || err == nil && strings.TrimSpace(string(content)) == value {
		return nil
	}
	h.files.Step("set " + setting)
	opened, err := os.OpenFile(at, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = opened.WriteString(value)
	return errors.Join(err, opened.Close())
}

// uptime goes on while the host sleeps, and is nobody's to set.
func uptime() time.Duration {
	var now unix.Timespec
	// It fails for clocks that there are not.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano())
}
