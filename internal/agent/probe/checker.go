package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Checker asks the application once. It returns nil if it can serve, else why not in words for the machine's owner. It
// ends when ctx does.
type Checker interface {
	Check(ctx context.Context) error
}

// New returns the checker that health defines, nil if it defines none: the application then counts as ready.
func New(health *hawserv1.Health) Checker {
	switch probe := health.GetProbe().(type) {
	case *hawserv1.Health_Http:
		return httpChecker{probe.Http}
	case *hawserv1.Health_Tcp:
		return tcpChecker{address(probe.Tcp.GetHost(), probe.Tcp.GetPort())}
	case *hawserv1.Health_Exec:
		return execChecker{probe.Exec.GetCommand()}
	case *hawserv1.Health_Grpc:
		return grpcChecker{address("", probe.Grpc.GetPort()), probe.Grpc.GetService()}
	default:
		return nil
	}
}

func address(host string, port uint32) string {
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.FormatUint(uint64(port), 10))
}

type tcpChecker struct{ address string }

func (c tcpChecker) Check(ctx context.Context) error {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", c.address, cause(err))
	}
	// The connection was made, which is all that was asked for.
	_ = connection.Close()
	return nil
}

// cause is what the kernel says about a connection, where that is the failure. The rest of the chain repeats the target, and names the
// port that the kernel chose for the other end: with it, the words for the same failure would differ each time.
func cause(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}
