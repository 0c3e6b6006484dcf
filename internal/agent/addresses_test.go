package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/agent/report"
)

// fakeLinks are a host's addresses; a change is an event, unless it is one of what a name resolves to.
type fakeLinks struct {
	mutex  sync.Mutex
	list   []string
	events chan struct{}
}

func (l *fakeLinks) List(context.Context) ([]string, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.list == nil {
		return nil, errors.New("netlink is away")
	}
	return l.list, nil
}

func (l *fakeLinks) Watch(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.events:
			changed()
		}
	}
}

func (l *fakeLinks) set(list ...string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.list = list
}

func TestAddressesAreFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		links, board, moves := &fakeLinks{list: []string{"10.0.0.1", "10.1.0.1"}, events: make(chan struct{})}, report.NewBoard(time.Now), 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- watchAddresses(ctx, addresses{links.List, links.Watch}, board, func() { moves++ }, slog.New(slog.DiscardHandler))
		}()
		synctest.Wait()
		for _, step := range []struct {
			name  string
			list  []string
			event bool
			pause time.Duration
			want  string
			moves int
		}{
			{"at first", []string{"10.0.0.1", "10.1.0.1"}, false, 0, "10.0.0.1", 0},
			// Booted without a resolver: by now the manager's name resolves, and the route to it leads by the other link.
			{"the manager's name resolves", []string{"10.1.0.1", "10.0.0.1"}, false, addressPeriod, "10.1.0.1", 1},
			{"an event", []string{"10.2.0.1"}, true, burst, "10.2.0.1", 2},
			{"all links are down", []string{}, true, burst, "10.2.0.1", 2},
			{"they cannot be listed", nil, true, burst, "10.2.0.1", 2},
			{"another one beside", []string{"10.2.0.1", "10.3.0.1"}, true, burst, "10.2.0.1", 2},
		} {
			links.set(step.list...)
			if step.event {
				links.events <- struct{}{}
			}
			time.Sleep(step.pause) // the bubble's clock
			synctest.Wait()
			if got := board.Facts().Address; got != step.want || moves != step.moves {
				t.Errorf("%s: address %s after %d moves, want %s after %d", step.name, got, moves, step.want, step.moves)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
