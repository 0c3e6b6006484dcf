package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Clear removes what making this file or directory left behind when it was cut off. Nobody else may be making it.
func (w Writer) Clear(path string) error {
	directory, name := filepath.Split(path)
	return w.clear(directory, func(entry string) bool {
		number, found := strings.CutPrefix(entry, prefix+name+"-")
		return found && strings.Trim(number, "0123456789") == ""
	})
}

// ClearDirectory removes what writes of any file in a directory left behind. Nobody else may be writing there.
func (w Writer) ClearDirectory(directory string) error {
	return w.clear(directory, func(entry string) bool { return strings.HasPrefix(entry, prefix) })
}

func (w Writer) clear(directory string, matches func(entry string) bool) error {
	entries, err := os.ReadDir(directory)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for leftovers of a crash: %w", err)
	}
	for _, entry := range entries {
		if !matches(entry.Name()) {
			continue
		}
		leftover := filepath.Join(directory, entry.Name())
		w.Step("remove leftover " + leftover)
		if err := os.Remove(leftover); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove the leftover of a crash: %w", err)
		}
	}
	return nil
}
