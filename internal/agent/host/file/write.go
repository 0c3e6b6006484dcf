package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
)

// Write replaces a file of Hawser's atomically; it is on the disk when Write returns. A directory in its place is removed.
func (t *Tree) Write(path string, content []byte, mode fs.FileMode, id ID) error {
	return t.Insist(path, func() error {
		if err := t.makeWay(path); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		return t.replace(path, content, mode, id)
	})
}

// makeWay removes a directory: neither a file nor a link can replace one.
func (t *Tree) makeWay(path string) error {
	if info, err := os.Lstat(t.Path(path)); err != nil || !info.IsDir() {
		return nil
	}
	t.files.Step("remove directory " + path)
	return os.RemoveAll(t.Path(path))
}

func (t *Tree) replace(path string, content []byte, mode fs.FileMode, id ID) error {
	if err := t.Clear(path); err != nil {
		return err
	}
	return t.files.Write(atomicfile.File{
		Path: t.Path(path), Mode: mode,
		Own: func(file *os.File) error { return t.owners.Give(file, id) },
	}, content)
}

// Clear removes what a Write or Link of this path left when it was cut off.
func (t *Tree) Clear(path string) error { return t.files.Clear(t.Path(path)) }

// Edit replaces the content of a file that belongs to the host: mode and owner stay, and a symbolic link to it stays one. A file
// that is not there gets mode 0644 and root as its owner.
func (t *Tree) Edit(path string, content []byte) error {
	path, err := t.Resolve(path)
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	mode, id := fs.FileMode(0o644), ID{}
	if info, err := os.Stat(t.Path(path)); err == nil {
		mode, id = Permissions(info.Mode()), t.owners.Of(t.Path(path), info)
	}
	err = t.Explain(t.replace(path, content, mode, id), path)
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) {
		// A file that is mounted, as container managers do with /etc/hosts, cannot be replaced, only written.
		return t.overwrite(path, content)
	}
	return err
}

func (t *Tree) overwrite(path string, content []byte) error {
	t.files.Step("overwrite " + path)
	file, err := os.OpenFile(t.Path(path), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

// Link makes or replaces a symbolic link atomically. A directory in its place is removed.
func (t *Tree) Link(path, target string, id ID) error {
	return t.Insist(path, func() error {
		if err := t.Clear(path); err != nil {
			return err
		}
		if err := t.makeWay(path); err != nil {
			return fmt.Errorf("link %s: %w", path, err)
		}
		return t.files.Link(t.Path(path), target, func(link string) error { return t.owners.GiveLink(link, id) })
	})
}
