package socket_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/socket"
)

const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// proc is a procfs with these files; a value that begins with "->" is the target of a link.
func proc(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		at := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if target, link := strings.CutPrefix(content, "->"); link {
			err = os.Symlink(target, at)
		} else {
			err = os.WriteFile(at, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestListeners(t *testing.T) {
	root := proc(t, map[string]string{
		"net/tcp": header +
			"   0: 00000000:3A98 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1337        0 11 1 x 100 0 0 10 0\n" + // 15000
			"   1: 0100007F:3AAC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 x 100 0 0 10 0\n" + // 15020
			"   2: 0100007F:3A99 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 13 1 x 100 0 0 10 0\n" + // established
			"   3: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 14 1 x 100 0 0 10 0\n" + // 22
			"broken\n",
		"net/tcp6": header + "   0: 00000000000000000000000000000000:3A98 00000000000000000000000000000000:0000 0A 0:0 0:0 0  1337  0 15 1\n",
		"net/udp":  header + "   0: 0100007F:3ACD 00000000:0000 07 00000000:00000000 00:00000000 00000000  1337        0 16 2 x 0\n", // 15053
		"7/comm":   "envoy\n", "7/fd/3": "->socket:[11]", "7/fd/4": "->socket:[15]", "7/fd/5": "->/dev/null", "7/fd/6": "->socket:[16]",
		"1/comm": "systemd\n", "1/fd/0": "->socket:[14]",
		"self/fd/0": "->socket:[11]",
	})
	for _, c := range []struct {
		name        string
		first, last int
		want        string
	}{
		{"Istio's", 15000, 15090, "15000 7 envoy 1337, 15020 0  0, 15053 7 envoy 1337"},
		{"SSH", 22, 22, "22 1 systemd 0"},
		{"none", 1, 21, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := socket.Listeners(root, c.first, c.last)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, l := range found {
				lines = append(lines, fmt.Sprintf("%d %d %s %d", l.Port, l.PID, l.Process, l.UID))
			}
			if got := strings.Join(lines, ", "); got != c.want {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestNoProcfsHasNoListeners(t *testing.T) {
	if found, err := socket.Listeners(t.TempDir(), 1, 65535); err != nil || found != nil {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestListenersOfThisProcess(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	found, err := socket.Listeners("/proc", port, port)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].PID != os.Getpid() || found[0].UID != os.Getuid() || found[0].Port != port {
		t.Errorf("found %+v, want this process at port %d", found, port)
	}
}
