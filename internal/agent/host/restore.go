package host

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/host/ledger"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Restore puts the machine back as it was, from the ledger, newest change first. It needs no network and none of the proxy's
// binaries. What could not be undone stays in the ledger and is in the error; calling it again tries that again. An empty ledger
// is a machine that is as it was.
func (h *Host) Restore(ctx context.Context) error {
	if err := h.ledger.Clear(); err != nil {
		return err
	}
	records, err := h.ledger.Records()
	if err != nil {
		return err
	}
	var undone []ledger.Record
	var failures []error
	units := false
	for _, record := range inOrder(records) {
		units = units || record.Kind == ledger.Unit || ofUnit(record.Name)
		h.files.Step("undo: " + string(record.Kind) + " " + record.Name)
		if err := h.undo(ctx, record); err != nil {
			h.log.Error("the host could not be put back", "kind", string(record.Kind), "name", record.Name, "error", err)
			failures = append(failures, err)
			continue
		}
		undone = append(undone, record)
	}
	// At the end, as undoing twice does no harm, and each time waits for the disk.
	if err := h.ledger.Strike(undone...); err != nil {
		return err
	}
	if units {
		failures = append(failures, h.forgetUnits(ctx))
	}
	// An agent that was killed may have left one. It would end by itself, its empty table would not. The ledger does not know of it: what could not be
	// cleared is tried again whatever is in that.
	failures = append(failures, h.detour.Clear(ctx))
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("put the host back: %w", err)
	}
	return nil
}

// inOrder puts behind all else what a running proxy consists of. A repair may have made it long after the proxy was started, and
// newest first would then take it away from a proxy that still runs.
func inOrder(newestFirst []ledger.Record) []ledger.Record {
	order := slices.Clone(newestFirst)
	slices.SortStableFunc(order, func(a, b ledger.Record) int { return cmp.Compare(turn(a), turn(b)) })
	return order
}

// turn is 1 for what a running proxy consists of, else 0.
func turn(record ledger.Record) int {
	switch name := record.Name; record.Kind {
	case ledger.Account, ledger.Directory:
		return 1
	case ledger.File:
		if own(name) || ofUnit(name) || slices.Contains(accountFiles(), name) {
			return 1
		}
	}
	return 0
}

// ofUnit tells files that systemd reads units from.
func ofUnit(path string) bool {
	return path == plan.RuntimeUnit || strings.HasPrefix(path, plan.UnitsDirectory+"/")
}

// forgetUnits lets systemd forget what was Hawser's. A host without systemd has nothing to forget.
func (h *Host) forgetUnits(ctx context.Context) error {
	for _, slot := range []plan.Slot{plan.SlotA, plan.SlotB} {
		h.unitStates.Forget(ctx, slot.Unit())
	}
	if err := h.unitStates.Reload(ctx); err != nil && !errors.Is(err, exec.ErrNotFound) {
		return err
	}
	return nil
}

func (h *Host) undo(ctx context.Context, record ledger.Record) error {
	switch record.Kind {
	case ledger.Account:
		return h.users.Remove(ctx)
	case ledger.Directory:
		return h.undoDirectory(record)
	case ledger.File:
		return h.undoFile(record)
	case ledger.Block:
		return h.undoBlock(record)
	case ledger.Unit:
		if err := h.unitControl.Stop(ctx, record.Name); err != nil && !errors.Is(err, exec.ErrNotFound) {
			return err
		}
		return nil
	case ledger.Rules:
		return h.trafficRules.Remove(ctx, plan.Backend(record.Name))
	case ledger.Setting:
		return h.set(record.Name, string(record.Former.Content))
	case ledger.Link:
		return h.lookups.Remove(ctx)
	default:
		return fmt.Errorf("the ledger has a record of kind %q, which this agent does not know: use the version that wrote it, or a newer one", record.Kind)
	}
}

// own tells paths that hold nothing but Hawser's: they go with all that is in them.
func own(path string) bool {
	for _, root := range []string{plan.ProxyDirectory, plan.RunProxyDirectory} {
		if path == root || strings.HasPrefix(path, root+"/") {
			return true
		}
	}
	return false
}

func (h *Host) undoDirectory(record ledger.Record) error {
	if err := h.tree.Clear(record.Name); err != nil {
		return err
	}
	if own(record.Name) {
		return h.tree.RemoveAll(record.Name)
	}
	if record.Former != nil && record.Former.Mode.IsDir() {
		err := h.tree.SetDirectory(record.Name, file.Permissions(record.Former.Mode), file.ID{UID: record.Former.UID, GID: record.Former.GID})
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		return err
	}
	// What others put there since stays, and the agent's own identity is the store's to forget.
	err := h.tree.Remove(record.Name)
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		return nil
	}
	return err
}

func (h *Host) undoFile(record ledger.Record) error {
	if err := h.tree.Clear(record.Name); err != nil {
		return err
	}
	former := record.Former
	switch {
	case former == nil || own(record.Name):
		err := h.tree.Remove(record.Name)
		if errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		return err
	case former.Mode&fs.ModeSymlink != 0:
		return h.tree.Link(record.Name, former.Target, file.ID{UID: former.UID, GID: former.GID})
	case former.Mode.IsRegular():
		return h.tree.Write(record.Name, former.Content, file.Permissions(former.Mode), file.ID{UID: former.UID, GID: former.GID})
	default:
		return nil
	}
}

// undoBlock takes the block out of the file as it is by now: what its owner edited meanwhile stays.
func (h *Host) undoBlock(record ledger.Record) error {
	path, err := h.tree.Resolve(record.Name)
	if err != nil {
		return err
	}
	if err := h.tree.Clear(path); err != nil {
		return err
	}
	content, err := os.ReadFile(h.tree.Path(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	without := plan.WithoutBlock(content)
	if record.Former == nil && len(without) == 0 {
		return h.tree.Remove(path)
	}
	// Whoever removed the block by hand may have left the newline that was added before it.
	if former := record.Former; former != nil && bytes.Equal(without, append(slices.Clone(former.Content), '\n')) {
		without = former.Content
	}
	if bytes.Equal(without, content) {
		return nil
	}
	return h.tree.Edit(record.Name, without)
}
