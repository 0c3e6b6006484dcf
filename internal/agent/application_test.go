package agent

import (
	"context"
	"net"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// A group that gets a probe, or another one, does not take its machines out of rotation: what was known of the application holds until the
// new probe has found something else as often as it has to.
func TestAnotherProbeKeepsWhatIsKnown(t *testing.T) {
	open, closed := listening(t), listening(t)
	_ = closed.Close()
	asks := func(listener net.Listener) *hawserv1.Health {
		port := listener.Addr().(*net.TCPAddr).Port
		return &hawserv1.Health{
			Probe: &hawserv1.Health_Tcp{Tcp: &hawserv1.TcpProbe{Port: uint32(port)}}, PeriodMilliseconds: time.Hour.Milliseconds(), FailureThreshold: 2,
		}
	}
	waits := asks(open)
	waits.InitialDelayMilliseconds = (uptime() + time.Hour).Milliseconds()
	ready, none := report.Application{Probed: true, Ready: true}, report.Application{}
	type step struct {
		state *hawserv1.DesiredState
		told  []report.Application
	}
	probed := func(health *hawserv1.Health, told ...report.Application) step {
		return step{&hawserv1.DesiredState{Health: health}, told}
	}
	for _, test := range []struct {
		name  string
		steps []step
	}{
		{"at-the-start-nothing-is-known", []step{probed(waits, neverProbed()), probed(asks(open), neverProbed(), ready)}},
		{"nor-without-a-state", []step{{nil, []report.Application{none}}, probed(asks(open), neverProbed(), ready)}},
		{"one-that-waits-is-added", []step{probed(nil, none), probed(waits, ready)}},
		{"one-that-fails-once-is-added", []step{probed(nil, none), probed(asks(closed), ready, ready)}},
		{"another-one-fails-once", []step{probed(asks(open), neverProbed(), ready), probed(asks(closed), ready, ready)}},
		{"it-is-removed", []step{probed(waits, neverProbed()), probed(nil, none), probed(waits, ready)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			box, changed, told, done := newMailbox(test.steps[0].state, nil), make(chan struct{}, 1), make(chan report.Application), make(chan error, 1)
			go func() { done <- watchApplication(ctx, box, changed, func(now report.Application) { told <- now }) }()
			for i, step := range test.steps {
				if i > 0 {
					box.putState(step.state)
					changed <- struct{}{}
				}
				for _, want := range step.told {
					if got := <-told; got != want {
						t.Errorf("step %d: told %+v, want %+v", i, got, want)
					}
				}
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func listening(t *testing.T) net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}
