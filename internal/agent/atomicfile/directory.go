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
// this process, and a directory that is there gets it, too: its making may have been cut off before it. What is made is durable.
func (w Writer) MakeDirectory(path string, mode fs.FileMode) error {
	path = filepath.Clean(path)
	if err := w.makeMissing(path, mode); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
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
	w.Step("make directory " + path)
	if err := os.Mkdir(path, mode); err != nil {
		return err
	}
	w.Step("chmod new directory " + path)
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	w.Step("sync directory " + path)
	return SyncDirectory(parent)
}
