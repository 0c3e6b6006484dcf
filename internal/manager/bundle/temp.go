package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// temp is a file that is put in its place when it is complete, or not at all.
type temp struct {
	*os.File
	committed bool
}

func (s *Store) createTemp() (*temp, error) {
	for _, folder := range []string{"", "index", "files"} {
		if err := os.MkdirAll(filepath.Join(s.dir, folder), 0o700); err != nil {
			return nil, fmt.Errorf("make the proxy store: %w", err)
		}
	}
	file, err := os.CreateTemp(s.dir, partial)
	if err != nil {
		return nil, fmt.Errorf("make a file in the proxy store: %w", err)
	}
	return &temp{File: file}, nil
}

// partial is the pattern of the names that files have before they are complete.
const partial = "partial-*"

// sweep deletes what a crash left incomplete.
func (s *Store) sweep() {
	left, err := filepath.Glob(filepath.Join(s.dir, partial))
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	if err != nil {
		s.options.Logger.Warn("incomplete files stay in the proxy store", "error", err)
	}
}

// commit gives the file its name for good.
func (t *temp) commit(path string) error {
	err := errors.Join(t.Sync(), t.Close())
	if err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", filepath.Base(path), err)
	}
	t.committed = true
	return nil
}

// discard deletes the file unless it was committed.
func (t *temp) discard() {
	if !t.committed {
		// Closing twice and deleting what is gone are no harm here.
		_ = t.Close()
		_ = os.Remove(t.Name())
	}
}
