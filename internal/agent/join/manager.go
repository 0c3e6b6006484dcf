package join

import (
	"context"
	"errors"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/identity"
)

// timeout of one Enroll call, connecting included.
const timeout = 20 * time.Second

// Manager is the real enroller.
type Manager struct{}

var _ Enroller = Manager{}

// Enroll connects to the manager that the token's pin names and makes the call.
func (Manager) Enroll(ctx context.Context, request Request, message *hawserv1.EnrollRequest) (response *hawserv1.EnrollResponse, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	connection, err := dial.New(request.Manager, nil).Connect(identity.PinnedTLS(request.Token.Pin))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	response, err = hawserv1.NewEnrollmentServiceClient(connection).Enroll(ctx, message)
	return response, connection.Explain(err)
}
