package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/hawser-io/hawser/internal/agent/host/ledger"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Record writes to the ledger what steps are going to make or change, with what is there now. Apply does it for each step;
// giving it all steps of a plan beforehand saves waiting for the disk at each.
func (h *Host) Record(ctx context.Context, steps ...plan.Step) error {
	var records []ledger.Record
	for _, step := range steps {
		found, err := h.records(step)
		if err != nil {
			return fmt.Errorf("record what %q is going to change: %w", step, err)
		}
		records = append(records, found...)
	}
	return h.ledger.Record(records...)
}

// packagedAccount declares the proxy's user where the agent's package is installed (sysusers.d(5)).
const packagedAccount = "/usr/lib/sysusers.d/hawser.conf"

// accountDatabases are what tools for users change.
func accountDatabases() []string {
	return []string{"/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow"}
}

// accountFiles are the copies that tools for users make of what they change (useradd(8), systemd-sysusers(8)).
func accountFiles() []string {
	return []string{"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"}
}

func (h *Host) records(step plan.Step) ([]ledger.Record, error) {
	switch s := step.(type) {
	case plan.CreateAccount:
		if _, err := os.Lstat(h.tree.Path(packagedAccount)); err == nil {
			// It was there before the join, and somebody deleted it: it stays when the machine leaves, and goes with the package.
			return nil, nil
		}
		var records []ledger.Record
		for _, path := range accountFiles() {
			record, err := h.record(ledger.File, path)
			if err != nil {
				return nil, err
			}
			records = append(records, record)
		}
		return append(records, ledger.Record{Kind: ledger.Account, Name: plan.AccountName}), nil
	case plan.MakeDirectory:
		return h.one(ledger.Directory, s.Path)
	case plan.WriteFile:
		if s.Block {
			return h.block(s.Path)
		}
		return h.one(ledger.File, s.Path)
	case plan.Link:
		return h.one(ledger.File, s.Path)
	case plan.StartProxy:
		return []ledger.Record{{Kind: ledger.Unit, Name: s.Slot.Unit()}}, nil
	case plan.RestartProxy:
		return []ledger.Record{{Kind: ledger.Unit, Name: s.Slot.Unit()}}, nil
	case plan.StartBeside:
		return []ledger.Record{{Kind: ledger.Unit, Name: s.Slot.Unit()}}, nil
	case plan.MigrateRequests:
		return []ledger.Record{{Kind: ledger.Setting, Name: plan.MigrateRequestsSetting, Former: &ledger.Former{Content: []byte(plan.MigratesNot)}}}, nil
	case plan.LeadLookups:
		return []ledger.Record{{Kind: ledger.Rules, Name: string(plan.NFTables)}}, nil
	case plan.Intercept:
		return []ledger.Record{{Kind: ledger.Rules, Name: string(s.Rules.Backend)}}, nil
	case plan.RouteLookups:
		return []ledger.Record{{Kind: ledger.Link, Name: plan.LinkName}}, nil
	default:
		// Versions are below a directory of Hawser's own, and the other kinds make nothing.
		return nil, nil
	}
}

func (h *Host) one(kind ledger.Kind, path string) ([]ledger.Record, error) {
	record, err := h.record(kind, path)
	return []ledger.Record{record}, err
}

// block reads the file that a block gets into; its record has the name that leads there.
func (h *Host) block(path string) ([]ledger.Record, error) {
	at, err := h.tree.Resolve(path)
	if err != nil {
		return nil, err
	}
	record, err := h.record(ledger.Block, at)
	record.Name = path
	return []ledger.Record{record}, err
}

// record reads what is at path now. Contents below Hawser's own directories are not kept: they go with the directory.
func (h *Host) record(kind ledger.Kind, path string) (ledger.Record, error) {
	record := ledger.Record{Kind: kind, Name: path}
	at := h.tree.Path(path)
	info, err := os.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return record, nil
	}
	if err != nil {
		return record, err
	}
	id := h.owners.Of(at, info)
	record.Former = &ledger.Former{Mode: info.Mode(), UID: id.UID, GID: id.GID}
	switch {
	case own(path):
	case info.Mode()&fs.ModeSymlink != 0:
		record.Former.Target, err = os.Readlink(at)
	case info.Mode().IsRegular():
		record.Former.Content, err = os.ReadFile(at)
	}
	return record, err
}
