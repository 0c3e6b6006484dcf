package host

import (
	"context"
	"io"
	"log/slog"
)

// ArtifactReader gets the proxy's files from the manager.
type ArtifactReader interface {
	// ReadArtifact returns the zstd-compressed form of the file with this SHA-256 (lower-case hex, of the uncompressed
	// content), from an offset in the compressed form on.
	ReadArtifact(ctx context.Context, sha256 string, offset int64) (io.ReadCloser, error)
}

// Options of a Host.
type Options struct {
	// Root is put before every path; empty on a real machine. Tests give a directory.
	Root string
	// Manager is HOST:PORT as it is dialled: the machine's address is the source address of the route to it.
	Manager string
	// Artifacts is needed by InstallVersion alone.
	Artifacts ArtifactReader
	// Reachable makes a new connection to the manager and returns nil if it answers. Interception is confirmed by it; nil
	// confirms by SSH alone.
	Reachable func(ctx context.Context) error
	// Log gets what is worth to know beside the steps; nil for nothing.
	Log *slog.Logger
}
