package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
)

// MakeDirectory makes a directory and its parents, or gives an existing one its mode and owner. What else is at path is removed.
func (t *Tree) MakeDirectory(path string, mode fs.FileMode, id ID) error {
	return t.Insist(path, func() error { return t.makeDirectory(path, mode, id) })
}

func (t *Tree) makeDirectory(path string, mode fs.FileMode, id ID) error {
	at := t.Path(path)
	info, err := os.Lstat(at)
	if err == nil && !info.IsDir() {
		t.files.Step("remove " + path)
		if err := os.Remove(at); err != nil {
			return fmt.Errorf("make directory %s: %w", path, err)
		}
		err = fs.ErrNotExist
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Its owner may look into it only when it is the owner.
		err = t.files.MakeDirectory(at, mode&0o700)
	}
	if err != nil {
		return err
	}
	return t.SetDirectory(path, mode, id)
}

// SetDirectory gives a directory its mode and owner. A symbolic link to one is refused.
func (t *Tree) SetDirectory(path string, mode fs.FileMode, id ID) (err error) {
	directory, err := os.OpenFile(t.Path(path), os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return fmt.Errorf("set mode and owner: %w", err)
	}
	defer func() { err = errors.Join(err, directory.Close()) }()
	t.files.Step("set owner of " + path)
	if err := t.owners.Give(directory, id); err != nil {
		return fmt.Errorf("set owner of %s: %w", path, err)
	}
	// chmod comes second: chown clears bits of the mode.
	t.files.Step("set mode of " + path)
	return directory.Chmod(mode)
}

// Remove deletes a file, a link or an empty directory, durably; nothing being there is fine.
func (t *Tree) Remove(path string) error { return t.remove(path, os.Remove) }

// RemoveAll deletes what is at path and below, durably; nothing being there is fine.
func (t *Tree) RemoveAll(path string) error { return t.remove(path, os.RemoveAll) }

func (t *Tree) remove(path string, remove func(string) error) error {
	at := t.Path(path)
	if _, err := os.Lstat(at); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := t.Insist(path, func() error {
		t.files.Step("remove " + path)
		return remove(at)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// What reappears after a power cut would be remembered by nobody.
	t.files.Step("sync removal of " + path)
	return atomicfile.SyncDirectory(filepath.Dir(at))
}
