package agent

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// lookedAt is a machine that keeps when it was looked at. Its proxy goes to a former address of the gateway the first time.
type lookedAt struct {
	fakeMachine
	looks []time.Time
	// wanted is the generation of each look.
	wanted []string
}

func (m *lookedAt) Converge(_ context.Context, want *hawserv1.DesiredState, tell Teller) error {
	m.looks, m.wanted = append(m.looks, time.Now()), append(m.wanted, want.GetGeneration())
	tell.Found(Outcome{Former: len(m.looks) == 1})
	return nil
}

func (m *lookedAt) Look(_ context.Context, _ *hawserv1.DesiredState, tell Teller) error {
	tell.Found(Outcome{})
	return nil
}

// calm is a host that nobody changes, and on which all changes would be told.
type calm struct{}

func (calm) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (calm) Follow([]string) bool          { return true }
func (calm) Changed() <-chan struct{}      { return nil }

func TestAProxyThatWentToAFormerGatewayIsWatchedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		machine, began := &lookedAt{}, time.Now()
		a := &applier{
			machine: machine, mailbox: newMailbox(&hawserv1.DesiredState{Generation: "g1"}, nil), board: report.NewBoard(time.Now),
			store: store.New(t.TempDir()), drift: calm{}, looked: func() {}, log: slog.New(slog.DiscardHandler), kept: "g1", begun: "g1",
		}
		ended := make(chan error, 1)
		go func() { ended <- a.run(ctx) }()
		time.Sleep(5 * time.Minute)
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		soon, later := 0, 0
		for _, look := range machine.looks {
			if look.Sub(began) < formerTime {
				soon++
			} else if look.Sub(began) > formerTime+2*formerPeriod {
				later++
			}
		}
		if soon < 7 || later > 0 {
			t.Errorf("%d looks while the proxy may remember, want 7 at least; %d after that, want none: %v", soon, later, machine.looks)
		}
	})
}

// An agent that was killed in the middle of a change goes on with it, and not back to the state of before, if the manager tells it in time.
func TestAChangeThatWasCutOffIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		begun string
		// told is when the manager sends g2, woken when something else wakes the applier; 0: never.
		told, woken time.Duration
		want        string
		after       time.Duration
	}{
		"not-cut":            {"g1", time.Second, 0, "g1", 0},
		"never-begun":        {"", time.Second, 0, "g1", 0},
		"cut-and-told":       {"g2", time.Second, 0, "g2", time.Second},
		"cut-and-woken":      {"g2", 2 * time.Second, time.Second, "g2", 2 * time.Second},
		"cut-and-told-late":  {"g2", time.Minute, 0, "g1", cutPatience},
		"cut-and-never-told": {"g2", 0, 0, "g1", cutPatience},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				machine, began := &lookedAt{}, time.Now()
				a := &applier{
					machine: machine, mailbox: newMailbox(&hawserv1.DesiredState{Generation: "g1"}, nil), board: report.NewBoard(time.Now),
					store: store.New(t.TempDir()), drift: calm{}, looked: func() {}, log: slog.New(slog.DiscardHandler), kept: "g1", begun: c.begun,
				}
				ended := make(chan error, 1)
				go func() { ended <- a.run(ctx) }()
				if c.woken > 0 {
					time.AfterFunc(c.woken, a.mailbox.wake)
				}
				if c.told > 0 {
					time.AfterFunc(c.told, func() { a.mailbox.putState(&hawserv1.DesiredState{Generation: "g2"}) })
				}
				time.Sleep(2 * time.Minute)
				cancel()
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if machine.wanted[0] != c.want || machine.looks[0].Sub(began) != c.after {
					t.Errorf("began with %s after %s, want %s after %s", machine.wanted[0], machine.looks[0].Sub(began), c.want, c.after)
				}
			})
		})
	}
}
