package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// temporaryPrefix marks files that a crash may leave behind; Open removes them.
const temporaryPrefix = ".new-"

// replace writes content to path so that a reader, also one after a power cut, sees the old content or the new one:
// temporary file, fsync, rename, fsync of the directory. Before each of these steps it calls step, by which tests crash.
func replace(path string, content []byte, mode fs.FileMode, step func(string)) (err error) {
	directory := filepath.Dir(path)
	step("create " + filepath.Base(path))
	file, err := os.CreateTemp(directory, temporaryPrefix+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(file.Name())))
		}
	}()
	step("write " + filepath.Base(path))
	if err := writeSynced(file, content, mode); err != nil {
		return err
	}
	step("rename " + filepath.Base(path))
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	step("sync " + filepath.Base(path))
	return syncDirectory(directory)
}

func writeSynced(file *os.File, content []byte, mode fs.FileMode) error {
	_, err := file.Write(content)
	if err == nil {
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// removeLeftovers deletes temporary files of writes that a crash cut off.
func removeLeftovers(directory string) error {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return fmt.Errorf("read %s: %w", directory, err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), temporaryPrefix) {
			if err := os.Remove(filepath.Join(directory, entry.Name())); err != nil {
				return fmt.Errorf("remove the leftover of a crash: %w", err)
			}
		}
	}
	return nil
}
