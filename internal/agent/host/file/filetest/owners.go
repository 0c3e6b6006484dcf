// Package filetest keeps whom files belong to in memory, where a test has no right to give them away, and prints trees of files
// as text. It must not be used outside of tests.
package filetest

import (
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/file"
)

// Owners remembers what it was told. Files that it was not told of belong to root.
type Owners struct {
	ids map[uint64]file.ID
	// held keeps inodes from being used again for other files.
	held []int
}

var _ file.Owners = (*Owners)(nil)

// New returns Owners for the time of a test.
func New(t testing.TB) *Owners {
	o := &Owners{ids: map[uint64]file.ID{}}
	t.Cleanup(o.Close)
	return o
}

// Close forgets all. A test that makes many Owners calls it itself.
func (o *Owners) Close() {
	for _, descriptor := range o.held {
		_ = syscall.Close(descriptor)
	}
	o.held, o.ids = nil, map[uint64]file.ID{}
}

// Give implements file.Owners.
func (o *Owners) Give(f *os.File, id file.ID) error {
	return o.give("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), 0, id)
}

// GiveLink implements file.Owners.
func (o *Owners) GiveLink(path string, id file.ID) error { return o.give(path, syscall.O_NOFOLLOW, id) }

// openPath is O_PATH: the file need not be readable to be held.
const openPath = 0o10000000

func (o *Owners) give(path string, flags int, id file.ID) error {
	descriptor, err := syscall.Open(path, openPath|flags|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	o.held = append(o.held, descriptor)
	var status syscall.Stat_t
	if err := syscall.Fstat(descriptor, &status); err != nil {
		return err
	}
	o.ids[status.Ino] = id
	return nil
}

// Of implements file.Owners.
func (o *Owners) Of(_ string, info fs.FileInfo) file.ID {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return file.ID{UID: -1, GID: -1}
	}
	return o.ids[status.Ino]
}
