package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// parentMode is what directories on the way to others get.
const parentMode = 0o755

// MakeDirectory makes a directory, and those on the way to it, unless they are there. The mode does not depend on the umask of
// this process, and a directory that is there gets it, too. What is made is durable; Clear removes what is left of a directory
// whose making was cut off.
func (w Writer) MakeDirectory(path string, mode fs.FileMode) error {
	path = filepath.Clean(path)
	if err := w.makeMissing(path, mode); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	// One that was there.
	w.Step("chmod " + path)
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	return nil
}

func (w Writer) makeMissing(path string, mode fs.FileMode) error {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(path)
	if err := w.makeMissing(parent, parentMode); err != nil {
		return err
	}
	if err := w.Clear(path); err != nil {
		return err
	}
	w.Step("make directory " + path)
	temporary, err := os.MkdirTemp(parent, prefix+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	w.Step("chmod new directory " + path)
	err = os.Chmod(temporary, mode)
	if err == nil {
		w.Step("rename directory " + path)
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	w.Step("sync directory " + path)
	return SyncDirectory(parent)
}
