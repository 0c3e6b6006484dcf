package host

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// unknown is a step of a plan that is newer than the host's code.
type unknown struct{ plan.Step }

func (unknown) String() string { return "dream" }

func TestStepsThatAreNotKnown(t *testing.T) {
	if err := newMachine(t).host().Apply(t.Context(), unknown{}); err == nil || !strings.Contains(err.Error(), "no known kind") {
		t.Errorf("apply: %v", err)
	}
}

func TestOldGlibc(t *testing.T) {
	for _, c := range []struct{ have, want string }{
		{"", "this host has none"}, {"2.17", "this host has 2.17"}, {"2.31", ""}, {"2.100", ""},
	} {
		m := newMachine(t)
		if c.have != "" {
			for _, path := range []string{"/lib", "/lib/x86_64-linux-gnu"} {
				m.put(worldFile{path: path, mode: fs.ModeDir | 0o755})
			}
			m.put(worldFile{path: "/lib/x86_64-linux-gnu/libc.so.6", mode: 0o644, content: "GNU C Library (GNU libc) stable release version " + c.have + ".\n"})
		}
		want := desired()
		want.Proxy.MinGlibc = "2.31"
		_, err := converge.Converger{Host: m.host()}.Converge(t.Context(), want)
		_, old := errors.AsType[*GlibcError](err)
		if old != (c.want != "") || old && !strings.Contains(err.Error(), c.want) {
			t.Errorf("with glibc %q: %v, want %q", c.have, err, c.want)
		}
	}
}

// asked keeps what is to be within reach.
type asked struct {
	fakeTraffic
	reach *interception.Reach
}

func (a asked) Confirm(_ context.Context, _ plan.Rules, reach interception.Reach) error {
	*a.reach = reach
	return nil
}

// TestSSHIsAskedForWhereItIs: at the address that the machine is reached by, if anything listens on its port.
func TestSSHIsAskedForWhereItIs(t *testing.T) {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for _, c := range []struct{ name, listener, want string }{
		{"no server", "", ""},
		{"server", "   0: 00000000:0016 00000000:0000 0A 0:0 0:0 0 0 0 11 1\n", "192.0.2.10:22"},
		{"another port", "   0: 00000000:0017 00000000:0000 0A 0:0 0:0 0 0 0 11 1\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, worldFile{path: "/proc", mode: fs.ModeDir | 0o755}, worldFile{path: "/proc/net", mode: fs.ModeDir | 0o755},
				worldFile{path: "/proc/net/tcp", mode: 0o444, content: header + c.listener})
			h := m.host()
			h.options.Reachable = func(context.Context) error { return nil }
			var reach interception.Reach
			h.trafficRules = asked{fakeTraffic{m}, &reach}
			if err := h.Apply(t.Context(), plan.ConfirmInterception{}); err != nil {
				t.Fatal(err)
			}
			if reach.SSH != c.want || reach.Manager == nil {
				t.Errorf("reach %q, manager %t, want %q", reach.SSH, reach.Manager != nil, c.want)
			}
		})
	}
}
