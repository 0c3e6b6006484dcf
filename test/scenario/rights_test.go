//go:build apiserver

package scenario

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/internal/manager"
	"github.com/hawser-io/hawser/internal/manager/managertest"
)

// TestManagerWithTheRightsOfTheChart runs a manager as the chart's ServiceAccount: it gets ready, announces itself and confines a
// group, and the API server refuses it nothing. What it does for a machine that joins, it does with the same rights in the tests of
// internal/manager.
func TestManagerWithTheRightsOfTheChart(t *testing.T) {
	config := managertest.StartAPIServer(t)
	admin, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, name := range []string{"hawser-system", "istio-system", "shop"} {
		if err := admin.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, object := range append(managertest.ChartRoles(t), groupWithMachine(t)...) {
		if err := admin.Create(ctx, object); err != nil {
			t.Fatalf("create %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}

	log := &managertest.Log{}
	health := freeAddress(t)
	done := make(chan error, 1)
	managerCtx, stop := context.WithCancel(ctx)
	go func() { done <- manager.Run(managerCtx, managerOptions(t, config, health, log)) }()
	until := func(what string, met func() bool) {
		t.Helper()
		for !met() {
			select {
			case err := <-done:
				t.Fatalf("the manager ended before %s: %v\n%s", what, err, log)
			case <-ctx.Done():
				t.Fatalf("no %s within a minute:\n%s", what, log)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	until("ready", func() bool { return answers("http://" + health + "/readyz") })
	until("hawser-info", func() bool { return exists(ctx, admin, "v1", "ConfigMap", "hawser-system", "hawser-info") })
	until("Sidecar", func() bool { return exists(ctx, admin, "networking.istio.io/v1", "Sidecar", "shop", "hawser-ratings") })
	until("AuthorizationPolicy", func() bool {
		return exists(ctx, admin, "security.istio.io/v1", "AuthorizationPolicy", "shop", "hawser-ratings")
	})
	stop()
	if err := <-done; err != nil {
		t.Errorf("the manager ended with %v", err)
	}
	if text := log.String(); strings.Contains(text, "forbidden") {
		t.Errorf("the manager was refused something:\n%s", text)
	}
}

func managerOptions(t *testing.T, config *rest.Config, health string, log *managertest.Log) manager.Options {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return manager.Options{
		Config: managertest.AsManager(config), Namespace: "hawser-system", Pod: "hawser-manager-0", Service: "hawser-manager",
		IstioNamespace: "istio-system", ClusterDomain: "cluster.local", GatewaySelector: "istio=eastwestgateway",
		CacheDir: t.TempDir(), HealthAddress: health, MetricsAddress: "0", Listener: listener,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func groupWithMachine(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	const group = `{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, metadata: {namespace: shop, name: ratings}, spec: {template: {serviceAccount: ratings}}}`
	const machine = `{apiVersion: hawser.io/v1alpha1, kind: Machine, metadata: {namespace: shop, name: vm}, spec: {group: ratings, keyFingerprint: "%064d"}}`
	return []*unstructured.Unstructured{parse(t, group), parse(t, fmt.Sprintf(machine, 0))}
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return object
}

func exists(ctx context.Context, kube client.Client, version, kind, namespace, name string) bool {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.FromAPIVersionAndKind(version, kind))
	return kube.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, object) == nil
}

func answers(url string) bool {
	response, err := http.Get(url)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusOK
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
