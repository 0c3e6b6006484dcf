//go:build apiserver

package confine_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	networkingapi "istio.io/api/networking/v1"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/confine"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

func TestController(t *testing.T) {
	w := start(t)
	key := client.ObjectKey{Namespace: "shop", Name: "hawser-ratings"}
	var sidecar networking.Sidecar
	var policy security.AuthorizationPolicy
	confined := func() bool { return w.has(key, &sidecar) && w.has(key, &policy) }

	t.Run("a_group_without_machines_is_left_alone", func(t *testing.T) {
		if confined() {
			t.Error("it is confined")
		}
	})
	machine := &v1alpha1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "vm-1"},
		Spec:       v1alpha1.MachineSpec{Group: "ratings", KeyFingerprint: strings.Repeat("a", 64)},
	}
	w.do(w.client.Create(t.Context(), machine))
	w.await("the first machine's group is confined", confined)
	if hosts := sidecar.Spec.Egress[0].Hosts; !slices.Equal(hosts, []string{"./*"}) {
		t.Errorf("machines may call %v", hosts)
	}

	open := &v1alpha1.MachinePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "open"},
		Spec:       v1alpha1.MachinePolicySpec{Egress: &v1alpha1.Egress{Namespaces: []string{"bank"}}, Ingress: &v1alpha1.Ingress{Namespaces: []string{"bank"}}},
	}
	w.do(w.client.Create(t.Context(), open))
	calls := func() bool { return slices.Contains(sidecar.Spec.Egress[0].Hosts, "bank/*") }
	called := func() bool { return slices.Contains(policy.Spec.Rules[0].From[0].Source.Namespaces, "bank") }
	w.await("a policy opens", func() bool { return confined() && calls() && called() })
	w.do(w.client.Delete(t.Context(), open))
	w.await("and closes when it goes", func() bool { return confined() && !calls() && !called() })

	sidecar.Spec.Egress = []*networkingapi.IstioEgressListener{{Hosts: []string{"*/*"}}}
	w.do(w.client.Update(t.Context(), &sidecar))
	w.await("what others change is put back", func() bool { return confined() && sidecar.Spec.Egress[0].Hosts[0] == "./*" })
	w.do(w.client.Delete(t.Context(), &policy))
	w.await("what others delete comes back", confined)

	t.Run("no_write_while_nothing_changes", func(t *testing.T) {
		before := sidecar.ResourceVersion + policy.ResourceVersion
		w.do(w.client.Create(t.Context(), &core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "other"}}))
		w.await("the controller has seen another fact", func() bool { return w.source.Facts().Namespaces["other"].Name != "" })
		if !confined() || sidecar.ResourceVersion+policy.ResourceVersion != before {
			t.Error("the objects were written again")
		}
	})

	own := &networking.Sidecar{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "own", Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}}}
	own.Spec.Egress = []*networkingapi.IstioEgressListener{{Hosts: []string{"*/*"}}}
	w.do(w.client.Create(t.Context(), own))
	w.do(w.client.Delete(t.Context(), machine))
	w.await("with the last machine it ends", func() bool { return !w.has(key, &sidecar) && !w.has(key, &policy) })
	if !w.has(client.ObjectKeyFromObject(own), own) {
		t.Error("somebody else's Sidecar was deleted")
	}
}

// cluster is an API server with a group on it, and a Controller that confines it.
type cluster struct {
	t      *testing.T
	client client.Client
	source *watch.Source
}

func start(t *testing.T) *cluster {
	t.Helper()
	config := managertest.StartAPIServer(t)
	scheme := managertest.Scheme(t)
	w := &cluster{t: t}
	w.do(confine.AddToScheme(scheme))
	var err error
	w.client, err = client.New(config, client.Options{Scheme: scheme})
	w.do(err)
	w.do(w.client.Create(t.Context(), &core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}))
	w.do(w.client.Create(t.Context(), &networking.WorkloadGroup{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "ratings"},
		Spec:       networkingapi.WorkloadGroup{Template: &networkingapi.WorkloadEntry{}},
	}))
	options, err := watch.CacheOptions(watch.Options{})
	w.do(err)
	options.Scheme = scheme
	for kind, restriction := range confine.CacheByObject() {
		options.ByObject[kind] = restriction
	}
	objects, err := cache.New(config, options)
	w.do(err)
	w.source, err = watch.NewSource(objects, watch.Options{Proxies: noProxies{}})
	w.do(err)
	w.run(objects.Start)
	w.run(w.source.Run)
	w.run(confine.New(w.source, objects, w.client, slog.Default()).Run)
	return w
}

func (w *cluster) run(part func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		w.do(<-done)
	})
}

func (w *cluster) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *cluster) has(key client.ObjectKey, object client.Object) bool {
	w.t.Helper()
	err := w.client.Get(w.t.Context(), key, object)
	if err != nil && !errors.IsNotFound(err) {
		w.t.Fatal(err)
	}
	return err == nil
}

func (w *cluster) await(what string, is func() bool) {
	w.t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-deadline:
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

// noProxies has no image; confinement does not need one.
type noProxies struct{}

func (noProxies) Ensure(ctx context.Context, _, _ string) (facts.Proxy, error) {
	return facts.Proxy{}, context.Cause(ctx)
}

func (noProxies) Forget(_, _ string) error { return nil }
