package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
)

// Artifact is the zstd form of one file, open for reading at any offset. Close it.
type Artifact struct {
	file *os.File
	size int64
}

// Open opens the zstd form of the file with the given SHA-256 (lower-case hex, of the content, not of the form). The error is
// ErrUnknown if there is none.
func (s *Store) Open(sha256 string) (*Artifact, error) {
	// The hash comes from the wire and becomes part of a path.
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(sha256) {
		return nil, ErrUnknown
	}
	file, err := os.Open(s.blobPath(sha256))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("open a proxy's file: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("look at a proxy's file: %w", err), file.Close())
	}
	return &Artifact{file: file, size: info.Size()}, nil
}

// ReadAt reads from the zstd form, as io.ReaderAt says.
func (a *Artifact) ReadAt(p []byte, offset int64) (int, error) { return a.file.ReadAt(p, offset) }

// Size of the zstd form, bytes.
func (a *Artifact) Size() int64 { return a.size }

// Close ends the reading.
func (a *Artifact) Close() error { return a.file.Close() }

var _ io.ReaderAt = (*Artifact)(nil)
