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
}

func (m *lookedAt) Converge(_ context.Context, _ *hawserv1.DesiredState, tell Teller) error {
	m.looks = append(m.looks, time.Now())
	tell.Found(Outcome{Former: len(m.looks) == 1})
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
			store: store.New(t.TempDir()), drift: calm{}, log: slog.New(slog.DiscardHandler), kept: "g1",
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
