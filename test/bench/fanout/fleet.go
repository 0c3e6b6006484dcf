package fanout

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// patience is for all agents to do what they have to, and for all of it to be recorded. It is there so that a run ends.
const patience = 15 * time.Minute

// atOnce is how many connect at the same time when they are started; when they come back nothing holds them.
const atOnce = 100

// fleet is all agents.
type fleet struct {
	address string
	agents  []*agent
	// pending agents have not acknowledged what is expected; received are the bytes that all got, of TLS and all.
	pending, received atomic.Int64
	// sample is the newest state of the lone machine.
	sample atomic.Pointer[hawserv1.DesiredState]

	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newFleet(address string) *fleet { return &fleet{address: address, cancel: func() {}} }

// selection of agents.
type selection func(*agent) bool

func all(*agent) bool { return true }

// one is the machine that has a group to itself.
func one(a *agent) bool { return a.name == loneName }

func (f *fleet) dial(ctx context.Context, address string) (net.Conn, error) {
	connection, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return counted{connection, &f.received}, nil
}

// start connects all; each is expected to acknowledge its first state.
func (f *fleet) start() {
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.expect(all)
	for i, a := range f.agents {
		f.running.Go(func() {
			if pause(ctx, time.Duration(i/atOnce)*100*time.Millisecond) == nil {
				a.run(ctx)
			}
		})
	}
}

// stop ends all and returns when they are over.
func (f *fleet) stop() {
	f.cancel()
	f.running.Wait()
}

// expect has the agents acknowledge something new.
func (f *fleet) expect(which selection) {
	count := int64(0)
	for _, a := range f.agents {
		if which(a) {
			a.mu.Lock()
			a.acknowledged, a.before = time.Time{}, a.applied
			a.mu.Unlock()
			count++
		}
	}
	f.pending.Store(count)
}

// wait returns when all that were expected to have acknowledged.
func (f *fleet) wait(ctx context.Context, which selection) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for f.pending.Load() > 0 {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return fmt.Errorf("%d agents did not get what they have to: %w", f.pending.Load(), err)
		}
	}
	return nil
}

// delays are the times from began to each acknowledgement.
func (f *fleet) delays(which selection, began time.Time) []time.Duration {
	var delays []time.Duration
	for _, a := range f.agents {
		if which(a) {
			a.mu.Lock()
			delays = append(delays, a.acknowledged.Sub(began))
			a.mu.Unlock()
		}
	}
	return delays
}
