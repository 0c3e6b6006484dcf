package renew

import (
	"context"
	"errors"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// timeout of one call, connecting included.
const timeout = 30 * time.Second

// Manager is the real authority.
type Manager struct{ dialer *dial.Dialer }

var _ Authority = Manager{}

// NewManager returns the authority behind dialer.
func NewManager(dialer *dial.Dialer) Manager { return Manager{dialer} }

// Renew asks over a connection of its own, which is there for seconds once in half a day.
func (m Manager) Renew(ctx context.Context, identity *store.Identity, request []byte) (response *hawserv1.RenewResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	connection, err := m.dialer.Connect(dial.IdentityTLS(identity))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	response, err = hawserv1.NewEnrollmentServiceClient(connection).Renew(ctx, &hawserv1.RenewRequest{Csr: request})
	return response, connection.Explain(err)
}
