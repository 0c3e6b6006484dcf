package manager

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// fakeLease is one Lease of an API server that can be away, and that refuses writes to a version that is no more the latest.
type fakeLease struct {
	mu      sync.Mutex
	record  *resourcelock.LeaderElectionRecord
	version int
	away    bool
}

// seat is a replica's way to it; like client-go's LeaseLock it writes over the version that it has read or written last.
type seat struct {
	*fakeLease
	name string
	seen int
}

var _ resourcelock.Interface = (*seat)(nil)

func (s *seat) Identity() string   { return s.name }
func (s *seat) Describe() string   { return s.name }
func (s *seat) RecordEvent(string) {}

func (s *seat) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.away:
		return nil, nil, errors.New("connection refused")
	case s.record == nil:
		return nil, nil, apierrors.NewNotFound(leases, leaseName)
	}
	record := *s.record
	s.seen = s.version
	return &record, []byte(strconv.Itoa(s.version)), nil
}

func (s *seat) Create(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.record != nil && !s.away {
		return apierrors.NewAlreadyExists(leases, leaseName)
	}
	return s.write(record)
}

func (s *seat) Update(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != s.version && !s.away {
		return apierrors.NewConflict(leases, leaseName, errors.New("it has been changed since"))
	}
	return s.write(record)
}

func (s *seat) write(record resourcelock.LeaderElectionRecord) error {
	if s.away {
		return errors.New("connection refused")
	}
	s.record = &record
	s.version++
	s.seen = s.version
	return nil
}

func (f *fakeLease) set(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

// replicaOf makes a leader whose one part counts itself while it runs.
func replicaOf(lease *fakeLease, name string, running *atomic.Int32) *leader {
	l := &leader{lock: &seat{fakeLease: lease, name: name}, logger: slog.New(slog.DiscardHandler)}
	l.parts = []func(context.Context) error{func(ctx context.Context) error {
		running.Add(1)
		defer running.Add(-1)
		<-ctx.Done()
		return nil
	}}
	return l
}

// An API server that is away ends the term and not the replica; when it is back, one of them leads again, and never two do.
func TestLeaderSurvivesAnAPIServerThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lease, running := &fakeLease{}, &atomic.Int32{}
		ctx, stop := context.WithCancel(t.Context())
		replicas := []*leader{replicaOf(lease, "a", running), replicaOf(lease, "b", running)}
		var group sync.WaitGroup
		for _, l := range replicas {
			group.Go(func() {
				if err := l.Start(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		leads := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			n := 0
			for _, l := range replicas {
				if l.Leads() {
					n++
				}
			}
			if n != want || int(running.Load()) != want {
				t.Errorf("%s: %d lead and %d work, want %d", when, n, running.Load(), want)
			}
		}
		time.Sleep(time.Minute)
		leads("at first", 1)
		lease.set(true)
		time.Sleep(10 * time.Minute)
		leads("while it is away", 0)
		lease.set(false)
		time.Sleep(time.Minute)
		leads("when it is back", 1)
		stop()
		group.Wait()
		leads("in the end", 0)
		if holder := lease.record.HolderIdentity; holder != "" {
			t.Errorf("the lease is still %s's", holder)
		}
	})
}

// A part that fails ends the replica, as one that works no more must not seem to.
func TestPartThatFailsEndsTheReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := replicaOf(&fakeLease{}, "a", &atomic.Int32{})
		l.parts = append(l.parts, func(context.Context) error { return errors.New("broken") })
		if err := l.Start(t.Context()); err == nil || err.Error() != "broken" {
			t.Errorf("got %v", err)
		}
	})
}
