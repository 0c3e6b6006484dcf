package probe

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

type grpcChecker struct{ address, service string }

// Check asks the service grpc.health.v1.Health, unencrypted as in Kubernetes.
func (c grpcChecker) Check(ctx context.Context) (err error) {
	connection, err := grpc.NewClient("passthrough:///"+c.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent("hawser-probe"), grpc.WithDisableServiceConfig())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close()) }()
	answer, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: c.service})
	switch {
	case status.Code(err) == codes.Unimplemented:
		return fmt.Errorf("%s does not serve grpc.health.v1.Health", c.address)
	case status.Code(err) == codes.NotFound:
		return fmt.Errorf("%s does not know the gRPC service %q", c.address, c.service)
	case err != nil:
		return fmt.Errorf("%s: %s", c.address, status.Convert(err).Message())
	case answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return fmt.Errorf("%s: gRPC service %q is %s", c.address, c.service, answer.GetStatus())
	default:
		return nil
	}
}
