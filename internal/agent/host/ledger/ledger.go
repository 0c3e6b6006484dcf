// Package ledger remembers what a host was before Hawser touched it. In come records of what is about to be made or changed,
// with what was there before; out come the same records, newest first, to undo them by. A record is durable before Record
// returns. It touches nothing itself.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
)

// Kind of what is recorded.
type Kind string

const (
	// Account: user and group were made.
	Account Kind = "account"
	// Directory was made, or had another mode or owner.
	Directory Kind = "directory"
	// File, or symbolic link, was made or replaced.
	File Kind = "file"
	// Block was added to a file of the host's.
	Block Kind = "block"
	// Unit was started.
	Unit Kind = "unit"
	// Rules were applied by a backend.
	Rules Kind = "rules"
	// Setting of the kernel's was changed.
	Setting Kind = "setting"
	// Link was made, and the resolver was told of it.
	Link Kind = "link"
)

// Record is one thing on the host.
type Record struct {
	Kind Kind `json:"kind"`
	// Name is a path, a unit, a backend or a link.
	Name string `json:"name"`
	// Former is what was there before; nil if nothing was.
	Former *Former `json:"former,omitempty"`
}

// Former is a file, directory or symbolic link as it was.
type Former struct {
	Mode    fs.FileMode `json:"mode"`
	UID     int         `json:"uid"`
	GID     int         `json:"gid"`
	Content []byte      `json:"content,omitempty"`
	Target  string      `json:"target,omitempty"`
}

// Ledger is a file. It is used by one process at a time.
type Ledger struct {
	path  string
	files atomicfile.Writer
}

// New names the ledger's file, which need not exist yet.
func New(path string, files atomicfile.Writer) *Ledger { return &Ledger{path: path, files: files} }

// Record adds records. One of the same kind and name that the ledger has already stays: what was there first is what counts.
func (l *Ledger) Record(records ...Record) error {
	known, err := l.read()
	if err != nil {
		return err
	}
	before := len(known)
	for _, record := range records {
		if !slices.ContainsFunc(known, record.same) {
			known = append(known, record)
		}
	}
	if len(known) == before {
		return nil
	}
	return l.write(known)
}

// Has reports whether there is a record of this kind and name.
func (l *Ledger) Has(kind Kind, name string) (bool, error) {
	records, err := l.read()
	return slices.ContainsFunc(records, Record{Kind: kind, Name: name}.same), err
}

// Records returns all records, newest first.
func (l *Ledger) Records() ([]Record, error) {
	records, err := l.read()
	slices.Reverse(records)
	return records, err
}

// Strike takes records out, since they were undone. The last one takes the file with it.
func (l *Ledger) Strike(undone ...Record) error {
	records, err := l.read()
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return slices.ContainsFunc(undone, r.same) })
	if len(left) > 0 && len(left) == len(records) {
		return nil
	}
	if len(left) > 0 {
		return l.write(left)
	}
	if err := l.remove(); err != nil {
		return fmt.Errorf("remove the ledger: %w", err)
	}
	return nil
}

// Clear removes what a write of the ledger left behind when it was cut off.
func (l *Ledger) Clear() error { return l.files.Clear(l.path) }

func (l *Ledger) remove() error {
	if err := l.files.Clear(l.path); err != nil {
		return err
	}
	l.files.Step("remove " + l.path)
	err := os.Remove(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = atomicfile.SyncDirectory(filepath.Dir(l.path))
	}
	return err
}

func (r Record) same(other Record) bool { return r.Kind == other.Kind && r.Name == other.Name }

func (l *Ledger) read() ([]Record, error) {
	content, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the ledger: %w", err)
	}
	var records []Record
	if err := json.Unmarshal(content, &records); err != nil {
		return nil, fmt.Errorf("read the ledger %s: %w; it says what this host was before it joined, restore it from a backup", l.path, err)
	}
	return records, nil
}

func (l *Ledger) write(records []Record) error {
	content, err := json.MarshalIndent(records, "", " ")
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	err = l.files.MakeDirectory(filepath.Dir(l.path), 0o700)
	if err == nil {
		err = l.files.Clear(l.path)
	}
	if err == nil {
		// 0600: it may hold former contents that not everybody may read.
		err = l.files.Write(atomicfile.File{Path: l.path, Mode: 0o600}, content)
	}
	if err != nil {
		return fmt.Errorf("write the ledger: %w", err)
	}
	return nil
}
