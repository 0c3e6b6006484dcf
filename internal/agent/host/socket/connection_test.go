package socket_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/socket"
)

// connected is a connection over loopback, both ends.
func connected(t *testing.T, network, address string) (near, far net.Conn) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if near, err = net.Dial(network, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = near.Close(), far.Close() })
	return near, far
}

func TestConnections(t *testing.T) {
	for network, address := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		near, _ := connected(t, network, address)
		to := netip.MustParseAddrPort(near.RemoteAddr().String())
		found, err := socket.Connections(os.Getuid(), to.Port())
		if err != nil || len(found) != 1 || found[0].Remote != to || found[0].UID != os.Getuid() {
			t.Errorf("%s: found %+v, %v", network, found, err)
		}
		if accepted, err := socket.Accepted(os.Getuid(), to.Port()); err != nil || len(accepted) != 1 || accepted[0].Remote.String() != near.LocalAddr().String() {
			t.Errorf("%s: accepted %+v, %v", network, accepted, err)
		}
		if others, err := socket.Connections(os.Getuid()+1, to.Port()); err != nil || len(others) != 0 {
			t.Errorf("%s: another user has %+v, %v", network, others, err)
		}
	}
}

func TestEnd(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("ending connections takes root")
	}
	near, far := connected(t, "tcp4", "127.0.0.1:0")
	found, err := socket.Connections(0, netip.MustParseAddrPort(near.RemoteAddr().String()).Port())
	if err != nil || len(found) != 1 {
		t.Fatalf("found %+v, %v", found, err)
	}
	for range 2 {
		if err := found[0].End(); err != nil {
			t.Fatal(err)
		}
	}
	for name, end := range map[string]net.Conn{"near": near, "far": far} {
		if _, err := end.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("%s end: %v, want that it was aborted", name, err)
		}
	}
}
