package record_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/record"
)

// cache is one that can lose its watch: it then shows what was there before.
type cache struct {
	*fakeAPI
	before map[string]client.Object
	reads  int
}

var _ record.Reader = (*cache)(nil)

func (c *cache) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	c.mu.Lock()
	c.reads++
	object, ok := c.before[id(into, key)]
	c.mu.Unlock()
	if !ok {
		return c.fakeAPI.Get(ctx, key, into, options...)
	}
	assign(into, object)
	return nil
}

// takeReads returns the number of reads since the last call.
func (c *cache) takeReads() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.reads = 0 }()
	return c.reads
}

// loseWatch has the cache stand still from now on.
func (c *cache) loseWatch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.before = maps.Clone(c.objects)
}

// A cache that lost its watch, as when the API server was away, is back up to a minute later. Health must not wait for it.
func TestHealthFollowsWhileTheCacheStandsStill(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		w.want("at first", machineUp)
		w.cache.loseWatch()
		e.Report(healthy(func(r *hawserv1.Report) { r.Healthy = false }))
		w.pass(time.Second)
		w.want("out", down(" on pod-0 by s1", "Unhealthy"))
		e.Report(healthy())
		w.pass(time.Second)
		w.want("back", machineUp)
		w.api.takeWrites()
		e.Report(healthy())
		w.pass(time.Minute)
		w.wantWrites("nothing more", 0)
	})
}

// So it is with what somebody else has written meanwhile.
func TestConflictIsOverWhileTheCacheStandsStill(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		w.cache.loseWatch()
		machine, entry := w.object(), w.entry()
		w.api.change(machine, func() { machine.Labels = map[string]string{"rack": "7"} })
		w.api.change(entry, func() { entry.Annotations["rack"] = "7" })
		e.Report(healthy(func(r *hawserv1.Report) { r.Healthy = false }))
		w.pass(time.Second)
		w.want("out", down(" on pod-0 by s1", "Unhealthy"))
	})
}
