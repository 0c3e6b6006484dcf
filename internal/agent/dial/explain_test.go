package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/identity"
)

func dialing(cause error) error {
	return fmt.Errorf("no address answers: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(172, 31, 0, 240), Port: 15012}, Err: os.NewSyscallError("connect", cause)})
}

// Whatever goes wrong, the words say what, where, and what to do, in one line.
func TestWords(t *testing.T) {
	const peer = "172.31.0.240:15012"
	unavailable := status.Error(codes.Unavailable, "connection error")
	var out strings.Builder
	for _, failed := range []struct {
		name, peer   string
		err, failure error
	}{
		{"name", "", unavailable, &net.DNSError{Err: "no such host", Name: "gw.example", IsNotFound: true}},
		{"refused", "", unavailable, dialing(syscall.ECONNREFUSED)},
		{"no network", "", unavailable, dialing(syscall.ENETUNREACH)},
		{"no route", "", unavailable, errors.Join(dialing(syscall.EHOSTUNREACH), dialing(syscall.EHOSTUNREACH))},
		{"silent", "", unavailable, context.DeadlineExceeded},
		{"hung up on", peer, unavailable, io.EOF},
		{"no TLS", peer, unavailable, tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}},
		{"another manager", peer, unavailable, identity.ErrPin},
		{"another authority", peer, unavailable, x509.UnknownAuthorityError{}},
		{"several", "", unavailable, errors.Join(errors.New("operation not permitted"), errors.New("protocol not available"))},
		{"broke off", peer, status.Error(codes.Unavailable, "keepalive ping failed to receive ACK within timeout"), nil},
		{"too slow", peer, status.Error(codes.DeadlineExceeded, "context deadline exceeded"), nil},
		{"given up", peer, status.Error(codes.Canceled, "context canceled"), nil},
		{"older manager", peer, status.Error(codes.Unimplemented, "unknown method Renew"), nil},
		{"failing manager", peer, status.Error(codes.Internal, "etcd is away"), nil},
		{"not a call", peer, errors.New("the manager closed the stream"), nil},
	} {
		connection := &Connection{manager: "gw.example:15012", now: time.Now, peer: failed.peer, reached: failed.failure == nil, failure: failed.failure}
		text := connection.Explain(failed.err).Error()
		if strings.Contains(text, "\n") || strings.Contains(text, "rpc error") {
			t.Errorf("%s: %q", failed.name, text)
		}
		fmt.Fprintf(&out, "%s\n  %s\n", failed.name, text)
	}
	golden.Check(t, "words.txt", out.String())
}

// A request may have been taken before its connection broke, whatever became of the next one.
func TestARequestThatMayHaveBeenSentIsNotUnsent(t *testing.T) {
	connection := &Connection{manager: "gw.example:15012", now: time.Now, reached: true, failure: dialing(syscall.ECONNREFUSED)}
	var away *Unreachable
	if err := connection.Explain(status.Error(codes.Unavailable, "connection reset")); !errors.As(err, &away) || away.Unsent {
		t.Errorf("got %#v", err)
	}
}
