package socket_test

import (
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/socket"
)

func TestTimeouts(t *testing.T) {
	for content, want := range map[string]int64{
		"TcpExt: SyncookiesSent TCPTimeouts TCPLoss\nTcpExt: 0 42 7\nIpExt: InNoRoutes\nIpExt: 0\n": 42,
		"IpExt: TCPTimeouts\nIpExt: 9\nTcpExt: TCPTimeouts\nTcpExt: 1\n":                            1,
		"TcpExt: SyncookiesSent\nTcpExt: 0\n":                                                       -1,
		"TcpExt: TCPTimeouts\n":                                                                     -1,
		"TcpExt: TCPTimeouts\nTcpExt: many\n":                                                       -1,
		"":                                                                                          -1,
	} {
		got, err := socket.Timeouts(proc(t, map[string]string{"net/netstat": content}))
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v, want %d", content, got, err, want)
		}
	}
	if _, err := socket.Timeouts(t.TempDir()); err == nil {
		t.Error("no procfs, and no error")
	}
	if before, err := socket.Timeouts("/proc"); err != nil || before < 0 {
		t.Errorf("of this host: %d, %v", before, err)
	}
}
