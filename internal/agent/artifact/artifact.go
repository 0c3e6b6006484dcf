// Package artifact reads the proxy's files from the manager, by the hash of their content, from any offset on. It neither checks
// nor stores them.
package artifact

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// Manager reads artifacts over a connection of its own for each, which is closed with the reader: nothing of a transfer of
// many megabytes stays with the one long-lived connection.
type Manager struct {
	dialer   *dial.Dialer
	identity func() (*store.Identity, error)
}

// NewManager returns a reader of the manager's artifacts.
func NewManager(dialer *dial.Dialer, identity func() (*store.Identity, error)) *Manager {
	return &Manager{dialer: dialer, identity: identity}
}

// ReadArtifact returns the zstd-compressed form of the file with this SHA-256 (lower-case hex, of the uncompressed content),
// from an offset in the compressed form on. The caller closes it.
func (m *Manager) ReadArtifact(ctx context.Context, sha256 string, offset int64) (io.ReadCloser, error) {
	identity, err := m.identity()
	if err != nil {
		return nil, err
	}
	connection, err := m.dialer.Connect(dial.IdentityTLS(identity))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := hawserv1.NewMachineServiceClient(connection).ReadArtifact(ctx, &hawserv1.ReadArtifactRequest{Sha256: sha256, Offset: offset})
	if err != nil {
		cancel()
		return nil, errors.Join(connection.Explain(err), connection.Close())
	}
	return &reader{stream: stream, connection: connection, cancel: cancel}, nil
}

// reader turns a stream of pieces into bytes.
type reader struct {
	stream     grpc.ServerStreamingClient[hawserv1.ReadArtifactResponse]
	connection *dial.Connection
	cancel     context.CancelFunc
	rest       []byte
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		response, err := r.stream.Recv()
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, r.connection.Explain(err)
		}
		r.rest = response.GetData()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close ends the transfer.
func (r *reader) Close() error {
	r.cancel()
	return r.connection.Close()
}
