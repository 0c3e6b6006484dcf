package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Attributes by which the kernel lets nobody change a file (ioctl_iflags(2), linux/fs.h).
const (
	immutable  = 0x10
	appendOnly = 0x20
)

// ImmutableError: a file, or the directory that it is in, has an attribute by which the kernel lets nobody change it.
type ImmutableError struct {
	Path string
	// Attribute is its letter in chattr(1).
	Attribute string
	Err       error
}

func (e *ImmutableError) Error() string { return fmt.Sprintf("%s (%v)", e.Immutable(), e.Err) }

func (e *ImmutableError) Unwrap() error { return e.Err }

// Immutable says what to do.
func (e *ImmutableError) Immutable() string {
	kind := "immutable"
	if e.Attribute == "a" {
		kind = "append-only"
	}
	return fmt.Sprintf("%s is %s, `chattr -%s %[1]s` ends that", e.Path, kind, e.Attribute)
}

// Insist changes what is at path or below, and belongs to Hawser. Where such an attribute is in the way it is taken away; in a directory
// of the host's it stays, and is the error.
func (t *Tree) Insist(path string, change func() error) error {
	err := change()
	if !errors.Is(err, syscall.EPERM) {
		return err
	}
	t.files.Step("release " + path)
	released := t.releaseAll(path)
	if parent := filepath.Dir(path); hawsers(parent) {
		released = t.release(parent) || released
	}
	if released {
		err = change()
	}
	return t.Explain(err, path)
}

// Explain makes an error of changing files say which of them is immutable, if one is.
func (t *Tree) Explain(err error, paths ...string) error {
	if err == nil {
		return nil
	}
	for _, path := range paths {
		for _, at := range []string{path, filepath.Dir(path)} {
			switch flags := t.attributes(at); {
			case flags&immutable != 0:
				return &ImmutableError{at, "i", err}
			case flags&appendOnly != 0:
				return &ImmutableError{at, "a", err}
			}
		}
	}
	return err
}

// hawsers tells directories that hold nothing but Hawser's.
func hawsers(directory string) bool {
	for _, root := range []string{plan.StateDirectory, plan.RunProxyDirectory, plan.SlotA.DropIn(), plan.SlotB.DropIn()} {
		if directory == root || strings.HasPrefix(directory, root+"/") {
			return true
		}
	}
	return false
}

// releaseAll returns whether anything at path or below was released.
func (t *Tree) releaseAll(path string) bool {
	released := false
	// What cannot be walked is not released, and the change says why it fails.
	_ = filepath.WalkDir(t.Path(path), func(at string, _ fs.DirEntry, err error) error {
		if err == nil {
			released = release(at) || released
		}
		return nil
	})
	return released
}

func (t *Tree) release(path string) bool { return release(t.Path(path)) }

func (t *Tree) attributes(path string) (flags int) {
	_ = withAttributes(t.Path(path), func(_ *os.File, now int) error { flags = now; return nil })
	return flags
}

func release(at string) (released bool) {
	_ = withAttributes(at, func(file *os.File, flags int) error {
		without := flags &^ (immutable | appendOnly)
		if without == flags {
			return nil
		}
		err := unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, without)
		released = err == nil
		return err
	})
	return released
}

// withAttributes looks at a file or directory. Links and devices have none, nor do some file systems.
func withAttributes(at string, do func(file *os.File, flags int) error) error {
	info, err := os.Lstat(at)
	if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return err
	}
	file, err := os.OpenFile(at, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	flags, err := unix.IoctlGetInt(int(file.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = do(file, flags)
	}
	return errors.Join(err, file.Close())
}
