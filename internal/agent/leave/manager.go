package leave

import (
	"context"
	"errors"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/refusal"
)

// RealManager makes the call.
type RealManager struct {
	// Known are further addresses of the manager, see dial.New.
	Known func() []string
}

var _ Manager = RealManager{}

// Leave tells the manager; a machine that the manager does not know any more has left.
func (m RealManager) Leave(ctx context.Context, identity *store.Identity) (err error) {
	connection, err := dial.New(identity.Enrollment.Manager, m.Known).Connect(dial.IdentityTLS(identity))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	_, err = hawserv1.NewMachineServiceClient(connection).Leave(ctx, &hawserv1.LeaveRequest{})
	err = connection.Explain(err)
	if errors.Is(err, refusal.MachineUnknown) {
		return nil
	}
	return err
}
