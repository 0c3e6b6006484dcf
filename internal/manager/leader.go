package manager

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Times of the election, Kubernetes' own usual ones: a leader that is gone is replaced within leaseDuration.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// leader runs what only one replica may, while this one is elected. A lease that is lost, as when the API server is away, ends those parts and
// nothing else: controller-runtime's own election would end the process, and with it the streams of all of its machines.
type leader struct {
	lock   resourcelock.Interface
	parts  []func(ctx context.Context) error
	logger *slog.Logger

	leads atomic.Bool
	// working is held while the parts run.
	working sync.Mutex
}

// NeedLeaderElection reports false: this is the election.
func (l *leader) NeedLeaderElection() bool { return false }

// Leads reports whether this replica is the leader.
func (l *leader) Leads() bool { return l.leads.Load() }

// Start stands for election until ctx ends, again and again.
func (l *leader) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := l.term(ctx); err != nil {
			return err
		}
	}
	return nil
}

// term waits for the lease, has the parts run for as long as it is held, and returns when they have ended. An error is a part's, or of the options.
func (l *leader) term(ctx context.Context) error {
	electing, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	// The lease is let go when the parts have ended: until then nobody else may do what they do.
	defer context.AfterFunc(ctx, func() {
		l.working.Lock()
		defer l.working.Unlock()
		resign()
	})()
	failed := make(chan error, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: l.lock, LeaseDuration: leaseDuration, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true, Name: leaseName,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(elected context.Context) {
				if err := l.lead(ctx, elected); err != nil {
					failed <- err
					resign()
				}
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("stand for election: %w", err)
	}
	elector.Run(electing)
	// It does not wait for what it has started.
	resign()
	l.working.Lock()
	defer l.working.Unlock()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// lead runs the parts until either context ends.
func (l *leader) lead(ctx, elected context.Context) error {
	l.working.Lock()
	defer l.working.Unlock()
	elected, end := context.WithCancel(elected)
	defer end()
	defer context.AfterFunc(ctx, end)()
	if ctx.Err() != nil || elected.Err() != nil {
		return nil
	}
	l.logger.Info("this replica leads")
	l.leads.Store(true)
	defer l.leads.Store(false)
	group, working := errgroup.WithContext(elected)
	for _, part := range l.parts {
		group.Go(func() error { return part(working) })
	}
	err := group.Wait()
	l.logger.Info("this replica does not lead any more")
	if elected.Err() != nil {
		// What fails then fails for that reason.
		return nil
	}
	return err
}
