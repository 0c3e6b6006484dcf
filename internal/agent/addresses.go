package agent

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/agent/report"
)

const (
	// burst is how long to wait after an event for those that come with it: a link that comes up brings several.
	burst = 250 * time.Millisecond
	// addressPeriod is how often the addresses are looked at without an event. Which one the manager is reached from depends on what its
	// name resolves to, and no event tells that it resolves by now.
	addressPeriod = time.Minute
)

// addresses is where the host's addresses come from; package address has the real ones.
type addresses struct {
	// list returns them, the one that the machine is reached by first.
	list func(ctx context.Context) ([]string, error)
	// watch calls changed when they may have changed, until ctx ends.
	watch func(ctx context.Context, changed func()) error
}

// watchAddresses keeps the board's addresses current and calls moved when the machine is reached by another one.
func watchAddresses(ctx context.Context, from addresses, board *report.Board, moved func(), log *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	changed := make(chan struct{}, 1)
	group.Go(func() error {
		return from.watch(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	})
	group.Go(func() error {
		for {
			list, err := from.list(ctx)
			if err != nil {
				log.Warn("could not list the host's addresses", "error", err)
			}
			if movedTo(list, board, log) {
				moved()
			}
			if !awaitAddresses(ctx, changed) {
				return nil
			}
		}
	})
	return group.Wait()
}

// movedTo takes over a list of addresses and reports whether the machine is reached by another one than before. A host without any, as
// while its network is set up anew, keeps those that it had.
func movedTo(list []string, board *report.Board, log *slog.Logger) bool {
	if len(list) == 0 || slices.Equal(list, board.Facts().Addresses) {
		return false
	}
	before := board.Facts().Address
	board.Update(func(f *report.Facts) { f.Address, f.Addresses = list[0], list })
	if before == "" || before == list[0] {
		return false
	}
	log.Info("the machine's address changed", "from", before, "to", list[0])
	return true
}

// awaitAddresses returns true when it is time to look again, false when ctx ends.
func awaitAddresses(ctx context.Context, changed <-chan struct{}) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(addressPeriod):
		return true
	case <-changed:
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(burst):
		return true
	}
}
