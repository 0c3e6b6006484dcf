//go:build apiserver

package watch_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	admission "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// TestSource follows a cluster's life: each step changes the cluster and states what becomes true of the facts.
func TestSource(t *testing.T) {
	w := start(t)
	w.await("the first revision", func(f facts.Facts) bool {
		return f.Revisions["default"].Problem == nil && f.Revisions["default"].Mesh.GetTrustDomain() == "cluster.local"
	})
	w.await("roots of the namespace", func(f facts.Facts) bool { return f.RootCertificates["shop"] == "roots" })
	w.await("the gateway", func(f facts.Facts) bool {
		return len(f.Gateways) == 1 && f.Gateways[0].DiscoveryPort == 15012 && slices.Equal(f.Gateways[0].Addresses[0].IPs, []string{"203.0.113.7"})
	})
	image := facts.ProxyKey{Image: "registry.example/istio/proxyv2:1.31.4", Architecture: "amd64"}
	w.await("the proxy, ahead of the first machine", func(f facts.Facts) bool { return f.Proxies[image].Proxy != nil })

	w.create(machine("vm-1"))
	key := types.NamespacedName{Namespace: "shop", Name: "vm-1"}
	w.await("the machine", func(f facts.Facts) bool { return f.Machines[key].Group == "ratings" && f.Machines[key].UID != "" })
	o := machine("vm-1")
	w.changeStatus(o, func() { o.Status.Architecture = "arm64" })
	image.Architecture = "arm64"
	w.await("the proxy for the machine's architecture", func(f facts.Facts) bool { return f.Proxies[image].Proxy != nil })

	w.create(&v1alpha1.MachinePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "open"}, Spec: v1alpha1.MachinePolicySpec{Egress: &v1alpha1.Egress{Namespaces: []string{"bank"}}}})
	w.await("the policy", func(f facts.Facts) bool {
		return slices.Equal(f.PolicyOf("shop", "ratings").EgressNamespaces, []string{"bank"})
	})
	w.create(&admission.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{
		Name: "istio-revision-tag-prod", Labels: map[string]string{"istio.io/tag": "prod", "istio.io/rev": "1-32"},
	}})
	w.await("the tag", func(f facts.Facts) bool { return f.Tags["prod"] == "1-32" })

	w.resolver.set("gw.example", "203.0.113.8", "203.0.113.7")
	w.await("the gateway's new addresses", func(f facts.Facts) bool {
		return slices.Equal(f.Gateways[0].Addresses[0].IPs, []string{"203.0.113.7", "203.0.113.8"})
	})
	w.resolver.set("gw.example")

	w.delete(&v1alpha1.MachinePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "open"}})
	w.delete(machine("vm-1"))
	w.await("policy and machine gone, the gateway's addresses kept while its name fails", func(f facts.Facts) bool {
		return len(f.Policies) == 0 && len(f.Machines) == 0 && len(f.Gateways[0].Addresses[0].IPs) == 2
	})
	w.await("the proxy that no machine needs any more gone", func(f facts.Facts) bool { return f.Proxies[image].Proxy == nil })
}

// TestSourceIsQuiet: what is no fact wakes nobody.
func TestSourceIsQuiet(t *testing.T) {
	w := start(t)
	w.create(machine("vm-1"))
	// The API server makes four namespaces of its own in its first seconds.
	w.await("all that there is", func(f facts.Facts) bool {
		return len(f.Namespaces) == 6 && len(f.Machines) == 1 && len(f.Proxies) == 1 && len(f.Gateways) == 1 && len(f.Gateways[0].Addresses[0].IPs) == 1
	})
	select {
	case <-w.changed:
	default:
	}
	before := w.source.Facts()
	// A report's status, another component's ConfigMap, a Service that is no gateway.
	o := machine("vm-1")
	w.changeStatus(o, func() { o.Status.AgentVersion = "0.1.0" })
	w.create(&core.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istio-leader"}})
	w.create(&core.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: "istiod"}, Spec: core.ServiceSpec{Ports: []core.ServicePort{{Port: 80}}}})
	var seen core.ServiceList
	for len(seen.Items) < 2 {
		if err := w.cache.List(t.Context(), &seen); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-w.changed:
		t.Errorf("something that is no fact woke who waits for facts\nbefore: %+v\nafter: %+v", before, w.source.Facts())
	default:
	}
	w.create(&core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "last"}})
	<-w.changed
	after := w.source.Facts()
	if _, ok := after.Namespaces["last"]; !ok {
		t.Errorf("the first change that woke was another one than the namespace\nbefore: %+v\nafter: %+v", before, after)
	}
}

// TestCacheIsRestricted: what is not Istio's does not get into memory.
func TestCacheIsRestricted(t *testing.T) {
	w := start(t)
	w.create(&core.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "application"}, Data: map[string]string{"a": "b"}})
	w.create(&core.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: core.ServiceSpec{Ports: []core.ServicePort{{Port: 80}}}})
	w.create(&core.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "last"}})
	w.await("the last object", func(f facts.Facts) bool { return f.Namespaces["last"].Name != "" })
	var configMaps core.ConfigMapList
	var services core.ServiceList
	if err := errors.Join(w.cache.List(t.Context(), &configMaps, client.InNamespace("shop")), w.cache.List(t.Context(), &services, client.InNamespace("shop"))); err != nil {
		t.Fatal(err)
	}
	if len(configMaps.Items) != 1 || len(services.Items) != 1 {
		t.Errorf("the cache has %d ConfigMaps and %d Services of the namespace", len(configMaps.Items), len(services.Items))
	}
	var group networking.WorkloadGroup
	if err := w.cache.Get(t.Context(), types.NamespacedName{Namespace: "shop", Name: "ratings"}, &group); err != nil {
		t.Fatal(err)
	}
	if len(group.ManagedFields) > 0 {
		t.Error("managedFields are kept")
	}
}

func machine(name string) *v1alpha1.Machine {
	return &v1alpha1.Machine{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec:       v1alpha1.MachineSpec{Group: "ratings", KeyFingerprint: strings.Repeat("a", 64)},
	}
}
