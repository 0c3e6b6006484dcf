package join

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"fmt"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/managertest"
	"github.com/hawser-io/hawser/internal/agent/progress"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// killed is what a test throws in place of kill -9.
type killed struct{ moment string }

// killer kills before and after the calls that pass by it: the nth moment, counted from zero.
type killer struct{ left int }

func (k *killer) moment(name string) {
	if k.left == 0 {
		k.left--
		panic(killed{name})
	}
	k.left--
}

// around runs one call with a moment before and after it.
func around[T any](k *killer, name string, call func() T) T {
	k.moment("before " + name)
	result := call()
	k.moment("after " + name)
	return result
}

// fakeStore is the real store with moments to be killed in. Within one call, the store's own tests kill.
type fakeStore struct {
	*store.Store
	*killer
}

func (s fakeStore) Key() (key *ecdsa.PrivateKey, err error) {
	around(s.killer, "making the key", func() error { key, err = s.Store.Key(); return err })
	return key, err
}

func (s fakeStore) KeepCertificates(chain, trust [][]byte) error {
	return around(s.killer, "keeping the certificates", func() error { return s.Store.KeepCertificates(chain, trust) })
}

func (s fakeStore) KeepEnrollment(e store.Enrollment) error {
	return around(s.killer, "keeping the enrollment", func() error { return s.Store.KeepEnrollment(e) })
}

// fakeHost is fit unless it has problems; it is also its own service manager and agent.
type fakeHost struct {
	*killer
	problems []string
	running  bool
	// starts counts how often the service was started.
	starts int
	// statuses that the agent shows one after the other.
	statuses []local.Status
}

var (
	_ Host    = (*fakeHost)(nil)
	_ Service = (*fakeHost)(nil)
	_ Agent   = (*fakeHost)(nil)
)

func (h *fakeHost) Check(context.Context, string) (*hawserv1.HostFacts, error) {
	if len(h.problems) > 0 {
		return nil, &Unfit{h.problems}
	}
	return &hawserv1.HostFacts{Hostname: "VM-1", Addresses: []string{"10.0.0.1"}}, nil
}

func (h *fakeHost) Start(_ context.Context, anew bool) error {
	return around(h.killer, "starting the service", func() error {
		if anew || !h.running {
			h.starts++
		}
		h.running = true
		return nil
	})
}

func (h *fakeHost) Watch(ctx context.Context, see func(local.Status) bool) error {
	if !h.running {
		return local.ErrNotRunning
	}
	h.moment("following")
	for _, status := range h.statuses {
		if !see(status) {
			return nil
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// killedEnroller is the real enroller with moments to be killed in.
type killedEnroller struct{ *killer }

func (e killedEnroller) Enroll(ctx context.Context, request Request, message *hawserv1.EnrollRequest) (response *hawserv1.EnrollResponse, err error) {
	around(e.killer, "enrolling", func() error { response, err = Manager{}.Enroll(ctx, request, message); return err })
	return response, err
}

func ready() local.Status {
	status := local.Status{Agent: "test", Ready: true}
	status.Facts.Connection = report.Connection{Up: true, Peer: "10.0.0.9:15012"}
	return status
}

// world is a host that can be joined to a manager, again and again.
type world struct {
	manager *managertest.Manager
	store   *store.Store
	host    *fakeHost
	output  bytes.Buffer
}

func newWorld(t *testing.T) *world {
	return &world{manager: managertest.Start(t), store: store.New(t.TempDir()), host: &fakeHost{killer: &killer{-1}, statuses: []local.Status{ready()}}}
}

// join runs one join, killed at the given moment; -1 for not at all.
func (w *world) join(ctx context.Context, request Request, moment int) (err error) {
	death := &killer{moment}
	w.host.killer = death
	defer func() {
		switch r := recover().(type) {
		case nil:
		case killed:
			err = fmt.Errorf("killed %s", r.moment)
		default:
			panic(r)
		}
	}()
	joiner := &Joiner{Store: fakeStore{w.store, death}, Host: w.host, Enroller: killedEnroller{death}, Service: w.host, Agent: w.host, Progress: progress.New(&w.output, false)}
	_, err = joiner.Run(ctx, request)
	return err
}
