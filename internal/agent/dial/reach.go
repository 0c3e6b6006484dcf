package dial

import (
	"context"
	"crypto/tls"
	"errors"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// Reach makes a new connection, TLS included, and closes it. It returns nil if the manager answered.
func (d *Dialer) Reach(ctx context.Context, config *tls.Config) (err error) {
	connection, err := d.Connect(config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	connection.ClientConn.Connect()
	for state := connection.GetState(); ; state = connection.GetState() {
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure, connectivity.Shutdown:
			return connection.Explain(errNotReached)
		}
		if !connection.WaitForStateChange(ctx, state) {
			return connection.Explain(status.FromContextError(ctx.Err()).Err())
		}
	}
}

var errNotReached = errors.New("the manager was not reached")
