package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// temporaryPrefix marks files that are being written.
const temporaryPrefix = ".hawser-new-"

// Write replaces a file: temporary file, mode and owner, fsync, rename, fsync of the directory.
func (t *Tree) Write(path string, content []byte, mode fs.FileMode, id ID) (err error) {
	at := t.Path(path)
	temporary, err := t.temporary(at, content, mode, id)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(temporary, at); err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(temporary)))
	}
	return SyncDirectory(filepath.Dir(at))
}

// Edit replaces the content of a file that belongs to the host: mode and owner stay, and a symbolic link to it stays one. A file
// that is not there gets mode 0644 and root as its owner.
func (t *Tree) Edit(path string, content []byte) error {
	path, err := t.Resolve(path)
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	mode, id := fs.FileMode(0o644), ID{}
	if info, err := os.Stat(t.Path(path)); err == nil {
		mode, id = info.Mode().Perm(), t.owners.Of(t.Path(path), info)
	}
	err = t.Write(path, content, mode, id)
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EXDEV) {
		// A file that is mounted, as container managers do with /etc/hosts, cannot be replaced, only written.
		return t.overwrite(path, content)
	}
	return err
}

func (t *Tree) overwrite(path string, content []byte) error {
	file, err := os.OpenFile(t.Path(path), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Sync(), file.Close())
}

func (t *Tree) temporary(at string, content []byte, mode fs.FileMode, id ID) (name string, err error) {
	file, err := os.CreateTemp(filepath.Dir(at), temporaryPrefix+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	// The owner comes first: a file that is not readable for others must not be readable for its owner's group either.
	if err := t.owners.Give(file.Name(), id); err != nil {
		return "", err
	}
	if err := file.Chmod(mode); err != nil {
		return "", err
	}
	if _, err := file.Write(content); err != nil {
		return "", err
	}
	return file.Name(), file.Sync()
}

// MakeDirectory makes a directory and its parents, or gives an existing one its mode and owner. What else is at path is removed.
func (t *Tree) MakeDirectory(path string, mode fs.FileMode, id ID) error {
	at := t.Path(path)
	info, err := os.Lstat(at)
	if err == nil && !info.IsDir() {
		if err := os.Remove(at); err != nil {
			return fmt.Errorf("make directory %s: %w", path, err)
		}
	}
	if err := os.MkdirAll(at, 0o755); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	// chmod comes second: chown clears bits of the mode.
	err = errors.Join(t.owners.Give(at, id), os.Chmod(at, mode))
	if err != nil {
		return fmt.Errorf("make directory %s: %w", path, err)
	}
	return nil
}

// Link makes or replaces a symbolic link atomically. A directory in its place is removed.
func (t *Tree) Link(path, target string, id ID) error {
	at := t.Path(path)
	temporary := filepath.Join(filepath.Dir(at), temporaryPrefix+filepath.Base(at))
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("link %s: %w", path, err)
	}
	if info, err := os.Lstat(at); err == nil && info.IsDir() {
		if err := os.RemoveAll(at); err != nil {
			return fmt.Errorf("link %s: %w", path, err)
		}
	}
	err := os.Symlink(target, temporary)
	if err == nil {
		err = t.owners.Give(temporary, id)
	}
	if err == nil {
		err = os.Rename(temporary, at)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", path, err)
	}
	return nil
}

// Remove deletes a file, a link or an empty directory; nothing being there is fine.
func (t *Tree) Remove(path string) error {
	if err := os.Remove(t.Path(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// RemoveAll deletes what is at path and below.
func (t *Tree) RemoveAll(path string) error { return os.RemoveAll(t.Path(path)) }

// SyncDirectory makes the names in a directory durable.
func SyncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
