package interception

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/agent/plan"
)

// server answers connections with a greeting until the test ends.
func server(t *testing.T, greeting string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Write([]byte(greeting))
			_ = connection.Close()
		}
	}()
	return listener.Addr().String()
}

func TestConfirmSSH(t *testing.T) {
	ssh, other, silent := server(t, "SSH-2.0-OpenSSH_9.2p1\r\n"), server(t, "HTTP/1.1 400 Bad Request\r\n"), server(t, "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, address string
		captured      bool
		want          string
	}{
		{name: "nobody listens at the port of SSH"},
		{name: "SSH greets", address: ssh},
		{name: "rules do not spare SSH", address: ssh, captured: true, want: "exclude port 22"},
		{name: "something else answers", address: other, want: "something else answers"},
		{name: "nothing greets", address: silent, want: "does not greet"},
		{name: "nothing answers", address: closed, want: "out of reach"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			before := h.String()
			set := rules(plan.NFTables)
			set.SSH = !c.captured
			traffic := h.traffic()
			if err := traffic.Apply(t.Context(), program, set); err != nil {
				t.Fatal(err)
			}
			checkConfirmed(t, h, before, traffic.Confirm(t.Context(), set, Reach{SSH: c.address}), c.want)
		})
	}
}

// checkConfirmed: the rules stay for good, or are gone as if they had never been.
func checkConfirmed(t *testing.T, h *fakeHost, before string, err error, want string) {
	t.Helper()
	if want == "" {
		if _, set := h.inet[tableNAT]; err != nil || !set || h.armed != "" {
			t.Errorf("confirm: %v, the host is\n%s", err, h)
		}
		return
	}
	if !errors.Is(err, ErrCutOff) || !strings.Contains(err.Error(), want) {
		t.Errorf("confirm: %v, want that the rules were taken away: %s", err, want)
	}
	if after := h.String(); after != before {
		t.Errorf("the host is\n%s\nwant\n%s", after, before)
	}
}

func TestConfirmManager(t *testing.T) {
	refused := errors.New("connection refused")
	for _, c := range []struct {
		name string
		// after is when the manager gets within reach.
		after time.Duration
		// gives is when the caller gives up; 0: never.
		gives time.Duration
		want  string
	}{
		{"at once", 0, 0, ""},
		{"after a while, a gateway moves just now", 400 * time.Millisecond, 0, ""},
		{"too late", 900 * time.Millisecond, 0, "the manager is out of reach: connection refused"},
		{"the agent ends meanwhile", time.Hour, 100 * time.Millisecond, "the manager is out of reach"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(t)
				before := h.String()
				traffic := h.traffic()
				if err := traffic.Apply(t.Context(), program, rules(plan.NFTables)); err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if c.gives > 0 {
					limited, cancel := context.WithTimeout(ctx, c.gives)
					defer cancel()
					ctx = limited
				}
				started := time.Now()
				err := traffic.Confirm(ctx, rules(plan.NFTables), Reach{Manager: func(context.Context) error {
					if time.Since(started) < c.after {
						return refused
					}
					return nil
				}})
				checkConfirmed(t, h, before, err, c.want)
				if took := time.Since(started); took >= time.Second {
					t.Errorf("confirming took %s: the switch was faster", took)
				}
			})
		})
	}
}

func TestDefaultDelayLeavesTimeWithinHalfAMinute(t *testing.T) {
	traffic := New(Options{})
	if traffic.options.Delay != DefaultDelay || traffic.confirmTime() >= DefaultDelay || DefaultDelay >= 30*time.Second {
		t.Errorf("delay %s, confirmed within %s", traffic.options.Delay, traffic.confirmTime())
	}
}
