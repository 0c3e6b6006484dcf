package file_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/host/file"
)

const immutable, appendOnly = 0x10, 0x20

// set gives a file an attribute, as chattr(1) does, until the end of the test.
func (w world) set(path string, attribute int) {
	w.Helper()
	err := setFlags(filepath.Join(w.root, path), attribute)
	if errors.Is(err, syscall.EPERM) {
		w.Skip("attributes of files are root's to set; scenario 70-drift sets them as root")
	}
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = setFlags(filepath.Join(w.root, path), 0) })
}

func setFlags(path string, attribute int) error {
	opened, err := os.Open(path)
	if err != nil {
		return err
	}
	flags, err := unix.IoctlGetInt(int(opened.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(opened.Fd()), unix.FS_IOC_SETFLAGS, flags&^(immutable|appendOnly)|attribute)
	}
	return errors.Join(err, opened.Close())
}

// TestImmutable: what is Hawser's is changed all the same, and what is the host's is an error that says what to do.
func TestImmutable(t *testing.T) {
	for _, c := range []struct {
		name      string
		path      string
		attribute int
		do        func(tree *file.Tree) error
		refused   string // the file to release, empty if none
	}{
		{"replace a file", "/hosts", immutable, func(tree *file.Tree) error { return tree.Write("/hosts", nil, 0o600, root) }, ""},
		{"replace a file to append to", "/hosts", appendOnly, func(tree *file.Tree) error { return tree.Write("/hosts", nil, 0o600, root) }, ""},
		{"link in place of a file", "/hosts", immutable, func(tree *file.Tree) error { return tree.Link("/hosts", "d", root) }, ""},
		{"link in place of a directory", "/d/in", immutable, func(tree *file.Tree) error { return tree.Link("/d", "hosts", root) }, ""},
		{"directory in place of a file", "/hosts", immutable, func(tree *file.Tree) error { return tree.MakeDirectory("/hosts", 0o700, root) }, ""},
		{"directory of another mode", "/d", immutable, func(tree *file.Tree) error { return tree.MakeDirectory("/d", 0o700, root) }, ""},
		{"remove a file", "/hosts", immutable, func(tree *file.Tree) error { return tree.Remove("/hosts") }, ""},
		{"remove a directory with all", "/d/in", immutable, func(tree *file.Tree) error { return tree.RemoveAll("/d") }, ""},
		{"edit a file of the host's", "/hosts", immutable, func(tree *file.Tree) error { return tree.Edit("/link", []byte("new")) }, "/hosts is immutable, `chattr -i /hosts` ends that"},
		{"edit a file to append to", "/hosts", appendOnly, func(tree *file.Tree) error { return tree.Edit("/hosts", []byte("new")) }, "/hosts is append-only, `chattr -a /hosts` ends that"},
		{"write in a directory of the host's", "/d", immutable, func(tree *file.Tree) error { return tree.Write("/d/new", nil, 0o600, root) }, "/d is immutable, `chattr -i /d` ends that"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.set(c.path, c.attribute)
			err := c.do(w.tree(nil))
			refused, is := errors.AsType[*file.ImmutableError](err)
			switch {
			case c.refused == "" && err != nil:
				t.Error(err)
			case c.refused == "" && w.text() == before:
				t.Error("nothing has changed")
			case c.refused != "" && (!is || refused.Immutable() != c.refused || !errors.Is(err, syscall.EPERM)):
				t.Errorf("error %v, want %q", err, c.refused)
			case c.refused != "" && w.text() != before:
				t.Errorf("the tree is\n%s", w.text())
			}
		})
	}
}

// TestAWriteReplacesADirectory: a file of Hawser's is put where somebody made a directory.
func TestAWriteReplacesADirectory(t *testing.T) {
	w := newWorld(t)
	if err := w.tree(nil).Write("/d", []byte("x"), 0o600, root); err != nil {
		t.Fatal(err)
	}
	if found, err := w.tree(nil).Read("/d"); err != nil || string(found.Content) != "x" || found.Mode != fs.FileMode(0o600) {
		t.Errorf("%+v, %v", found, err)
	}
}
