package subscribe

import (
	"context"
	"errors"
	"io"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// Manager opens streams to the manager with the machine's identity.
type Manager struct {
	dialer *dial.Dialer
	// identity is read for each stream, so that it is made with the newest certificate.
	identity func() (*store.Identity, error)
}

var _ Opener = (*Manager)(nil)

// NewManager returns an opener of real streams.
func NewManager(dialer *dial.Dialer, identity func() (*store.Identity, error)) *Manager {
	return &Manager{dialer: dialer, identity: identity}
}

// Open connects and begins the Sync call. Errors say what to do next, see dial.Connection.Explain.
func (m *Manager) Open(ctx context.Context) (Stream, string, io.Closer, error) {
	identity, err := m.identity()
	if err != nil {
		return nil, "", nil, err
	}
	connection, err := m.dialer.Connect(dial.IdentityTLS(identity))
	if err != nil {
		return nil, "", nil, err
	}
	stream, err := hawserv1.NewMachineServiceClient(connection).Sync(ctx)
	if err != nil {
		return nil, "", nil, errors.Join(connection.Explain(err), connection.Close())
	}
	return explained{stream, connection}, connection.Peer(), connection, nil
}

// explained words the errors of a stream by its connection.
type explained struct {
	stream     hawserv1.MachineService_SyncClient
	connection *dial.Connection
}

func (e explained) Send(request *hawserv1.SyncRequest) error {
	err := e.stream.Send(request)
	if errors.Is(err, io.EOF) {
		return err
	}
	return e.connection.Explain(err)
}

func (e explained) Recv() (*hawserv1.SyncResponse, error) {
	response, err := e.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, err
	}
	return response, e.connection.Explain(err)
}
