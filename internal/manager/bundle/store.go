package bundle

import (
	"context"
	"errors"
	"io"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// ErrUnknown says that the store has no file with the hash: it was never pulled here, or nobody needs it any more.
var ErrUnknown = errors.New("no such file in the proxy store")

// Store is a directory of proxies' files.
type Store struct{}

// Artifact is the zstd form of one file, open for reading at any offset. Close it.
type Artifact interface {
	io.ReaderAt
	io.Closer
	// Size of the zstd form, bytes.
	Size() int64
}

// NewStore makes a store that keeps its files in dir, which is created when it is first needed.
func NewStore(dir string, options Options) *Store { return &Store{} }

// Options of a store.
type Options struct{}

// Ensure pulls the image for the architecture if it is not there and describes its files. Calls for the same are merged. A failure that
// somebody can do something about is a *facts.Problem: ImageUnavailable, ImageUnauthorized, ArchitectureUnsupported or ImageInvalid.
func (s *Store) Ensure(ctx context.Context, image, architecture string) (facts.Proxy, error) {
	return facts.Proxy{}, nil
}

// Open opens the zstd form of the file with the given SHA-256 (lower-case hex, of the content). The error is ErrUnknown if there is none.
func (s *Store) Open(sha256 string) (Artifact, error) { return nil, ErrUnknown }
