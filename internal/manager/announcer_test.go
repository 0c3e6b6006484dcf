package manager

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// gateways is a source of nothing but the address of one gateway.
type gateways struct {
	mu      sync.Mutex
	address string
	changed chan struct{}
	synced  chan struct{}
}

var _ source = (*gateways)(nil)

func (g *gateways) Facts() facts.Facts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return facts.Facts{Gateways: []facts.Gateway{{DiscoveryPort: 15012, Addresses: []facts.GatewayAddress{{IPs: []string{g.address}}}}}}
}

func (g *gateways) Changed(context.Context) <-chan struct{} { return g.changed }
func (g *gateways) Synced() <-chan struct{}                 { return g.synced }

func (g *gateways) move(address string) {
	g.mu.Lock()
	g.address = address
	g.mu.Unlock()
	g.changed <- struct{}{}
}

// configMaps holds the one ConfigMap, or fails.
type configMaps struct {
	mu     sync.Mutex
	kept   *core.ConfigMap
	writes int
	err    error
}

var _ ca.ConfigMaps = (*configMaps)(nil)

func (c *configMaps) Get(context.Context, string, meta.GetOptions) (*core.ConfigMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if c.kept == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, ca.ConfigMapName)
	}
	return c.kept.DeepCopy(), nil
}

func (c *configMaps) Create(ctx context.Context, o *core.ConfigMap, _ meta.CreateOptions) (*core.ConfigMap, error) {
	return c.Update(ctx, o, meta.UpdateOptions{})
}

func (c *configMaps) Update(_ context.Context, o *core.ConfigMap, _ meta.UpdateOptions) (*core.ConfigMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = o.DeepCopy()
	c.writes++
	return o, nil
}

func (c *configMaps) change(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// says is the address that people read, and how often it was written.
func (c *configMaps) says() (address string, writes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept != nil {
		address = c.kept.Data[ca.KeyManager]
	}
	return address, c.writes
}

func TestAnnouncer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, err := ca.Generate(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		from := &gateways{address: "192.0.2.1", changed: make(chan struct{}, 1), synced: make(chan struct{})}
		to := &configMaps{}
		a := &announcer{
			source: from, configMaps: to, version: "0.1.0", logger: slog.New(slog.DiscardHandler),
			authority: func(context.Context) (*ca.Authority, error) { return authority, nil },
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		want := func(when, address string, writes int) {
			t.Helper()
			synctest.Wait()
			if got, n := to.says(); got != address || n != writes {
				t.Errorf("%s: %q after %d writes, want %q after %d", when, got, n, address, writes)
			}
		}
		want("before there are facts", "", 0)
		close(from.synced)
		want("with the first facts", "192.0.2.1:15012", 1)
		from.move("192.0.2.2")
		want("the gateway moved", "192.0.2.2:15012", 2)
		time.Sleep(time.Hour)
		want("an hour later", "192.0.2.2:15012", 2)
		to.change(func() { to.kept = nil })
		time.Sleep(announceAgain)
		want("somebody deleted it", "192.0.2.2:15012", 3)
		to.change(func() { to.kept.Data[ca.KeyManager] = "elsewhere" })
		time.Sleep(announceAgain)
		want("somebody edited it", "192.0.2.2:15012", 4)
		to.change(func() { to.err = errors.New("etcd is down") })
		from.move("192.0.2.3")
		want("it cannot be written", "192.0.2.2:15012", 4)
		to.change(func() { to.err = nil })
		time.Sleep(announceAgain)
		want("it can be again", "192.0.2.3:15012", 5)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
