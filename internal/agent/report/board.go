package report

import (
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Board holds the newest facts. Any part may update it, any number of readers may watch it. It is safe for concurrent use.
type Board struct {
	// now is the host's clock.
	now         func() time.Time
	mutex       sync.Mutex
	facts       Facts
	transitions transitions
	report      *hawserv1.Report
	watchers    map[chan struct{}]struct{}
}

// NewBoard returns a board on which nothing is known yet. now is the host's clock.
func NewBoard(now func() time.Time) *Board {
	board := &Board{now: now, transitions: transitions{}, watchers: map[chan struct{}]struct{}{}}
	board.report = board.judged(now())
	return board
}

// Update changes facts and wakes the watchers, whether that made a difference or not. change is called under the board's lock: it must not block.
func (b *Board) Update(change func(*Facts)) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	change(&b.facts)
	b.report = b.judged(b.now())
	for watcher := range b.watchers {
		select {
		case watcher <- struct{}{}:
		default:
			// It is awake already and will read what is newest.
		}
	}
}

// Facts returns the newest facts. The slices in it are not to be changed.
func (b *Board) Facts() Facts {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.facts
}

// Report returns the newest report, judged at this moment, so that an expiry shows without an update.
func (b *Board) Report() *hawserv1.Report {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.report = b.judged(b.now())
	return proto.CloneOf(b.report)
}

// Watch returns a channel of capacity one that receives after every update, and a function that ends that.
func (b *Board) Watch() (changed <-chan struct{}, stop func()) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	watcher := make(chan struct{}, 1)
	b.watchers[watcher] = struct{}{}
	return watcher, func() {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		delete(b.watchers, watcher)
	}
}

func (b *Board) judged(now time.Time) *hawserv1.Report {
	f := b.facts
	healthy, reason := health(f)
	return &hawserv1.Report{
		AppliedGeneration:      f.Configuration.Applied,
		FailedGeneration:       f.Configuration.Failed,
		Conditions:             b.transitions.conditions(judge(f, now), now),
		Proxy:                  &hawserv1.ProxyStatus{Version: f.Proxy.Version, ImageDigest: f.Proxy.ImageDigest, Slot: f.Proxy.Slot, Ready: f.Proxy.Ready},
		Healthy:                healthy,
		UnhealthyReason:        reason,
		Draining:               f.Draining,
		Address:                f.Address,
		Addresses:              f.Addresses,
		AgentCertificateExpiry: unix(f.Certificates.Agent.NotAfter),
		ProxyCertificateExpiry: unix(f.Certificates.Proxy.NotAfter),
	}
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
