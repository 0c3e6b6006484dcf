package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

func TestAddress(t *testing.T) {
	for given, want := range map[string]string{
		"gw.example":        "gw.example:15012",
		"gw.example:443":    "gw.example:443",
		"172.31.0.240":      "172.31.0.240:15012",
		"172.31.0.240:8443": "172.31.0.240:8443",
		"fd00::1":           "[fd00::1]:15012",
		"[fd00::1]":         "[fd00::1]:15012",
		"[fd00::1]:8443":    "[fd00::1]:8443",
		"":                  "",
		":15012":            "",
		"gw.example:":       "",
		"gw.example:http":   "",
		"gw.example:70000":  "",
		"https://gw:1:2":    "",
	} {
		got, err := Address(given)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Address(%q) = %q, %v, want %q", given, got, err, want)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, test := range []struct {
		resolved, known []string
		turn            int
		want            string
	}{
		{[]string{"a", "b", "c"}, nil, 0, "a b c"},
		{[]string{"a", "b", "c"}, nil, 4, "b c a"},
		{[]string{"a", "b"}, []string{"b", "k"}, 1, "b k a"},
		// The one address that the user gave is another's by now, who accepts connections: the known one gets its turn.
		{[]string{"a"}, []string{"k"}, 1, "k a"},
		{[]string{"a"}, []string{"k"}, 2, "a k"},
		{nil, []string{"k", "l"}, 1, "l k"},
		{nil, nil, 1, ""},
		{nil, []string{"k"}, 3, "k"},
	} {
		if got := strings.Join(candidates(test.resolved, test.known, test.turn), " "); got != test.want {
			t.Errorf("candidates(%v, %v, %d) = %q, want %q", test.resolved, test.known, test.turn, got, test.want)
		}
	}
}

// network answers for each address after a time, or fails.
type network map[string]struct {
	after time.Duration
	err   error
}

func (n network) connect(ctx context.Context, address string) (net.Conn, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(n[address].after):
	}
	if err := n[address].err; err != nil {
		return nil, err
	}
	local, remote := net.Pipe()
	remote.Close()
	return named{local, address}, nil
}

type named struct {
	net.Conn
	name string
}

func TestRace(t *testing.T) {
	refused := errors.New("connection refused")
	for name, test := range map[string]struct {
		network network
		want    string
		within  time.Duration
	}{
		"first-wins":               {network{"a": {after: time.Millisecond}, "b": {}}, "a", time.Millisecond},
		"second-after-a-refusal":   {network{"a": {err: refused}, "b": {}}, "b", time.Millisecond},
		"second-beside-a-silent":   {network{"a": {after: time.Hour}, "b": {}}, "b", stagger},
		"slow-first-beats-no-less": {network{"a": {after: 2 * stagger}, "b": {after: time.Hour}}, "a", 2 * stagger},
		"none":                     {network{"a": {err: refused}, "b": {err: refused}}, "", time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				addresses := []string{"a", "b"}
				start := time.Now()
				connection, err := race(t.Context(), test.network.connect, addresses)
				got := ""
				if err == nil {
					got = connection.(named).name
					connection.Close()
				} else if !errors.Is(err, refused) {
					t.Error(err)
				}
				if took := time.Since(start); got != test.want || took > test.within {
					t.Errorf("got %q after %s, want %q within %s", got, took, test.want, test.within)
				}
				if !slices.Equal(addresses, []string{"a", "b"}) {
					t.Error("race changed its argument")
				}
			})
		})
	}
}

// The kernel watches over the connection: no test has the patience, or the network, to see it die.
func TestConnectionsAreKeptAlive(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connection, err := New(listener.Addr().String(), nil).connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	raw, err := connection.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		for option, want := range map[int]int{unix.TCP_KEEPIDLE: 1, unix.TCP_KEEPINTVL: 1, unix.TCP_KEEPCNT: 2} {
			if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option); got != want || err != nil {
				t.Errorf("option %d is %d, %v, want %d", option, got, err, want)
			}
		}
	}); err != nil {
		t.Error(err)
	}
}

// What was just sent when a gateway died must not be waited for much longer than for an answer to nothing: a ping of gRPC's own may be it.
func TestConnectionsEndWhenNobodyAcknowledges(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, _, err := (watched{insecure.NewCredentials(), &Connection{}}).ClientHandshake(t.Context(), "", raw); err != nil {
		t.Fatal(err)
	}
	socket, err := raw.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Control(func(fd uintptr) {
		if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); got != 2000 || err != nil {
			t.Errorf("TCP_USER_TIMEOUT is %d ms, %v, want 2000", got, err)
		}
	}); err != nil {
		t.Error(err)
	}
}

// Who gives up while connecting has sent nothing, so that nothing has to be kept for a repetition.
func TestGivenUpWhileConnectingIsUnsent(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	connection, err := New(silent.Addr().String(), nil).Connect(&tls.Config{ServerName: "nobody"})
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = hawserv1.NewEnrollmentServiceClient(connection).Enroll(ctx, &hawserv1.EnrollRequest{}, grpc.WaitForReady(true))
	var away *Unreachable
	if err = connection.Explain(err); !errors.As(err, &away) || !away.Unsent || !strings.Contains(away.Message, "does not answer") {
		t.Errorf("got %#v", err)
	}
}
