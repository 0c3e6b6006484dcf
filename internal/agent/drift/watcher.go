package drift

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// burst is how long to wait after an event for those that come with it: who reloads a firewall changes many rules.
const burst = 250 * time.Millisecond

// Watcher watches one host.
type Watcher struct {
	root    string
	log     *slog.Logger
	files   files
	changed chan struct{}
	// rulesWatched: events about traffic rules come.
	rulesWatched atomic.Bool
}

// NewWatcher returns a Watcher that watches once it runs. root is put before every path; it is empty on a real machine.
func NewWatcher(root string, log *slog.Logger) *Watcher {
	return &Watcher{root: root, log: log, changed: make(chan struct{}, 1)}
}

// Changed receives after changes; those that come close together count as one.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Follow replaces the paths whose changes are told. A path whose directory does not exist is not watched: call Follow again when it
// does. It returns false if changes may go by untold, because the kernel refuses to tell.
func (w *Watcher) Follow(paths []string) bool {
	below := make([]string, 0, len(paths))
	for _, path := range paths {
		below = append(below, filepath.Join("/", w.root, path))
	}
	followed, err := w.files.follow(below)
	if err != nil {
		w.log.Warn("changed files will be found late", "error", err)
	}
	return followed && w.rulesWatched.Load()
}

// Run watches until ctx ends. What cannot be watched is logged and left to its owner's own looks.
func (w *Watcher) Run(ctx context.Context) error {
	events := make(chan struct{}, 1)
	tell := func() { wake(events) }
	var group errgroup.Group
	group.Go(func() error {
		if err := w.files.run(ctx, tell); err != nil {
			w.log.Warn("changed files will be found late", "error", err)
		}
		return nil
	})
	group.Go(func() error {
		if err := watchRules(ctx, func() { w.rulesWatched.Store(true) }, tell); err != nil {
			w.log.Warn("changed traffic rules will be found late", "error", err)
		}
		w.rulesWatched.Store(false)
		return nil
	})
	group.Go(func() error {
		w.gather(ctx, events)
		return nil
	})
	return group.Wait()
}

// gather makes one wake-up of events that come close together.
func (w *Watcher) gather(ctx context.Context, events <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(burst):
		}
		// What came meanwhile is part of it.
		select {
		case <-events:
		default:
		}
		wake(w.changed)
	}
}

func wake(channel chan<- struct{}) {
	select {
	case channel <- struct{}{}:
	default:
		// The reader is going to look anyway.
	}
}
