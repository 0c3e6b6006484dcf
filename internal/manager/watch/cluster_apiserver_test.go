//go:build apiserver

package watch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

// cluster is an API server with an Istio on it, and a Source that watches it.
type cluster struct {
	t        *testing.T
	client   client.Client
	cache    cache.Cache
	source   *watch.Source
	changed  <-chan struct{}
	resolver *fakeResolver
	proxies  *fakeProxies
}

func start(t *testing.T) *cluster {
	t.Helper()
	config := managertest.StartAPIServer(t)
	scheme := managertest.Scheme(t)
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &cluster{t: t, client: c, resolver: &fakeResolver{addresses: map[string][]string{}}, proxies: &fakeProxies{gone: map[string]bool{}}}
	w.resolver.set("gw.example", "203.0.113.7")
	options := watch.Options{Resolver: w.resolver, ResolveEvery: 50 * time.Millisecond, Proxies: w.proxies, Retain: time.Millisecond}
	cacheOptions, err := watch.CacheOptions(options)
	if err != nil {
		t.Fatal(err)
	}
	cacheOptions.Scheme = scheme
	if w.cache, err = cache.New(config, cacheOptions); err != nil {
		t.Fatal(err)
	}
	if w.source, err = watch.NewSource(w.cache, options); err != nil {
		t.Fatal(err)
	}
	w.seed()
	w.run(w.cache.Start)
	w.changed = w.source.Changed(t.Context())
	w.run(w.source.Run)
	select {
	case <-w.source.Synced():
	case <-time.After(time.Minute):
		t.Fatal("the source does not synchronise")
	}
	return w
}

// run runs a part of the manager until the test ends, and waits for its end.
func (w *cluster) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *cluster) seed() {
	w.t.Helper()
	for _, name := range []string{"istio-system", "shop"} {
		w.create(&core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for _, o := range managertest.Objects(w.t, `apiVersion: v1
kind: ConfigMap
metadata: {namespace: istio-system, name: istio}
data: {mesh: "trustDomain: cluster.local"}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: istio-system, name: istio-sidecar-injector}
data: {values: '{"global": {"hub": "registry.example/istio", "tag": "1.31.4"}}', config: "large"}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: shop, name: istio-ca-root-cert}
data: {root-cert.pem: roots}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {namespace: shop, name: ratings}
spec: {template: {serviceAccount: ratings}}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: gateway, labels: {istio: eastwestgateway}}
spec: {type: LoadBalancer, ports: [{port: 15012}]}`) {
		w.create(o)
	}
	gateway := &core.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "gateway"}}
	w.changeStatus(gateway, func() { gateway.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{Hostname: "gw.example"}} })
}

func (w *cluster) create(o client.Object) {
	w.t.Helper()
	if err := w.client.Create(w.t.Context(), o); err != nil {
		w.t.Fatalf("create %T: %v", o, err)
	}
}

func (w *cluster) delete(o client.Object) {
	w.t.Helper()
	if err := w.client.Delete(w.t.Context(), o); err != nil {
		w.t.Fatalf("delete %T: %v", o, err)
	}
}

func (w *cluster) changeStatus(o client.Object, change func()) {
	w.t.Helper()
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.t.Fatal(err)
	}
	change()
	if err := w.client.Status().Update(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// await waits until something is true of the facts.
func (w *cluster) await(what string, is func(facts.Facts) bool) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	for !is(w.source.Facts()) {
		select {
		case <-w.changed:
		case <-deadline:
			w.t.Fatalf("not in time: %s\n%+v", what, w.source.Facts())
		}
	}
}

var (
	_ watch.Resolver = (*fakeResolver)(nil)
	_ watch.Proxies  = (*fakeProxies)(nil)
)

// fakeResolver is a name server with a changing zone.
type fakeResolver struct {
	mu        sync.Mutex
	addresses map[string][]string
}

func (r *fakeResolver) set(name string, addresses ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addresses[name] = addresses
}

func (r *fakeResolver) LookupHost(_ context.Context, name string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.addresses[name]) == 0 {
		return nil, fmt.Errorf("no such host %s", name)
	}
	return slices.Clone(r.addresses[name]), nil
}

// fakeProxies has every image, and remembers which architectures it was told to forget.
type fakeProxies struct {
	mu   sync.Mutex
	gone map[string]bool
}

func (p *fakeProxies) Ensure(_ context.Context, image, architecture string) (facts.Proxy, error) {
	return facts.Proxy{ProxyKey: facts.ProxyKey{Image: image, Architecture: architecture}, Version: "1.31.4"}, nil
}

func (p *fakeProxies) Forget(_, architecture string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone[architecture] = true
	return nil
}
