package dial

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hawser-io/hawser/internal/refusal"
)

// Connection is a gRPC connection that remembers why connecting failed. gRPC itself keeps only the text of such errors.
type Connection struct {
	*grpc.ClientConn
	manager string
	// now is the host's clock.
	now func() time.Time

	mutex sync.Mutex
	peer  string
	// reached: there was a TLS connection, so a request may have been sent.
	reached bool
	failure error
}

// Peer is the address of the other end, empty before there is one.
func (c *Connection) Peer() string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.peer
}

// Explain says what the error of a call on the connection means, and what to do about it: a *refusal.Error if the manager
// refused, an *Unreachable if the manager was not reached, the error itself if it is not of a call.
func (c *Connection) Explain(err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := refusal.FromError(err); ok {
		return refused
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.failure == nil && !c.reached {
		// The call was given up while connecting was still under way.
		return unreachable(c.manager, c.peer, context.DeadlineExceeded, c.now(), true)
	}
	if c.failure == nil {
		return explainCall(c.manager, err)
	}
	return unreachable(c.manager, c.peer, c.failure, c.now(), !c.reached)
}

func (c *Connection) connected(raw net.Conn, err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.failure = err
	if err == nil {
		c.peer = raw.RemoteAddr().String()
	}
}

func (c *Connection) secured(err error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.failure, c.reached = err, c.reached || err == nil
}

// watched tells its connection how handshakes end.
type watched struct {
	credentials.TransportCredentials
	connection *Connection
}

func (w watched) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	// gRPC has set its own by now.
	if err := limitUnacknowledged(raw); err != nil {
		return nil, nil, err
	}
	secured, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	w.connection.secured(err)
	return secured, info, err
}

func limitUnacknowledged(raw net.Conn) error {
	connection, ok := raw.(*net.TCPConn)
	if !ok {
		return nil
	}
	socket, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = socket.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unacknowledged.Milliseconds()))
	})
	return errors.Join(err, failed)
}

func (w watched) Clone() credentials.TransportCredentials {
	return watched{w.TransportCredentials.Clone(), w.connection}
}
