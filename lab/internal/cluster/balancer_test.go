package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// fakeNode answers for addresses, and prints those.
type fakeNode struct {
	mu    sync.Mutex
	addrs []netip.Addr
}

var _ Announcer = (*fakeNode)(nil)

func (n *fakeNode) AddAddress(_ context.Context, addr netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Contains(n.addrs, addr) {
		n.addrs = append(n.addrs, addr)
	}
	return nil
}

func (n *fakeNode) Forward(context.Context, netip.Addr, netip.Addr, []uint16) error { return nil }

func (n *fakeNode) RemoveAddress(_ context.Context, addr netip.Addr) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = slices.DeleteFunc(n.addrs, func(own netip.Addr) bool { return own == addr })
	return nil
}

func (n *fakeNode) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	sorted := slices.SortedFunc(slices.Values(n.addrs), netip.Addr.Compare)
	return fmt.Sprint(sorted)
}

type balancerWorld struct {
	*Balancer
	t    *testing.T
	node *fakeNode
}

func newBalancerWorld(t *testing.T, services ...*corev1.Service) *balancerWorld {
	t.Helper()
	clientset := fake.NewClientset()
	for _, service := range services {
		if _, err := clientset.CoreV1().Services(service.Namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	node := &fakeNode{}
	balancer := NewBalancer(&Client{Kubernetes: clientset}, netip.MustParseAddr("172.31.0.240"), netip.MustParseAddr("172.31.0.245"),
		node, func(string, []netip.Addr) {}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- balancer.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &balancerWorld{Balancer: balancer, t: t, node: node}
}

// eventually waits until the services' addresses and the node's are as described.
func (w *balancerWorld) eventually(services, node string) {
	w.t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		got := w.describe()
		if got == services && w.node.String() == node {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			w.t.Fatalf("services are %q, node has %s; want %q and %s", got, w.node, services, node)
		}
	}
}

func (w *balancerWorld) describe() string {
	all, err := w.client.CoreV1().Services(metav1.NamespaceAll).List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	var lines []string
	for i := range all.Items {
		lines = append(lines, fmt.Sprint(all.Items[i].Name, w.frontendOf(&all.Items[i]).addrs))
	}
	slices.Sort(lines)
	return strings.Join(lines, " ")
}

func service(name string, kind corev1.ServiceType, addresses ...string) *corev1.Service {
	out := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "demo", Name: name}, Spec: corev1.ServiceSpec{Type: kind}}
	for _, addr := range addresses {
		out.Status.LoadBalancer.Ingress = append(out.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: addr})
	}
	return out
}

const balanced = corev1.ServiceTypeLoadBalancer

func TestBalancerGivesEachServiceItsOwn(t *testing.T) {
	w := newBalancerWorld(t, service("a", balanced), service("b", balanced), service("c", corev1.ServiceTypeClusterIP))
	w.eventuallyEither("172.31.0.240 172.31.0.241")
}

// eventuallyEither accepts either order of two services' addresses.
func (w *balancerWorld) eventuallyEither(addrs string) {
	w.t.Helper()
	first, second, _ := strings.Cut(addrs, " ")
	deadline := time.Now().Add(10 * time.Second)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		got := w.describe()
		if w.node.String() == "["+addrs+"]" &&
			(got == fmt.Sprintf("a[%s] b[%s] c[]", first, second) || got == fmt.Sprintf("a[%s] b[%s] c[]", second, first)) {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("services are %q, node has %s", got, w.node)
		}
	}
}

func TestBalancerKeepsWhatTheStatusSays(t *testing.T) {
	w := newBalancerWorld(t, service("a", balanced, "172.31.0.243"), service("b", balanced))
	w.eventually("a[172.31.0.243] b[172.31.0.240]", "[172.31.0.240 172.31.0.243]")
}

func TestBalancerTakesBackAddresses(t *testing.T) {
	w := newBalancerWorld(t, service("a", balanced))
	w.eventually("a[172.31.0.240]", "[172.31.0.240]")
	if err := w.client.CoreV1().Services("demo").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually("", "[]")
}

func TestMoveAtOnce(t *testing.T) {
	w := newBalancerWorld(t, service("a", balanced))
	w.eventually("a[172.31.0.240]", "[172.31.0.240]")
	addr, err := w.Move(t.Context(), "demo", "a", 0)
	if err != nil || addr != netip.MustParseAddr("172.31.0.241") {
		t.Fatalf("moved to %s, %v", addr, err)
	}
	w.eventually("a[172.31.0.241]", "[172.31.0.241]")
}

func TestMoveWithOverlap(t *testing.T) {
	w := newBalancerWorld(t, service("a", balanced))
	w.eventually("a[172.31.0.240]", "[172.31.0.240]")
	if _, err := w.Move(t.Context(), "demo", "a", time.Hour); err != nil {
		t.Fatal(err)
	}
	w.eventually("a[172.31.0.241]", "[172.31.0.240 172.31.0.241]")
	// A move that follows soon gives up the oldest at once; two addresses are enough for a machine to follow.
	if _, err := w.Move(t.Context(), "demo", "a", time.Millisecond); err != nil {
		t.Fatal(err)
	}
	w.eventually("a[172.31.0.242]", "[172.31.0.242]")
}

func TestMoveOfUnknownService(t *testing.T) {
	w := newBalancerWorld(t)
	if _, err := w.Move(t.Context(), "demo", "absent", 0); err == nil || !strings.Contains(err.Error(), "demo/absent") {
		t.Errorf("error is %v", err)
	}
}

func TestTwoAddressesOneOfThemSilent(t *testing.T) {
	w := newBalancerWorld(t, service("a", balanced))
	w.eventually("a[172.31.0.240]", "[172.31.0.240]")
	if addr, err := w.Add(t.Context(), "demo", "a"); err != nil || addr != netip.MustParseAddr("172.31.0.241") {
		t.Fatalf("added %s, %v", addr, err)
	}
	w.eventually("a[172.31.0.240 172.31.0.241]", "[172.31.0.240 172.31.0.241]")
	if err := w.Silence(t.Context(), "demo", "a", netip.MustParseAddr("172.31.0.240")); err != nil {
		t.Fatal(err)
	}
	w.eventually("a[172.31.0.240 172.31.0.241]", "[172.31.0.241]")
	if err := w.Silence(t.Context(), "demo", "a", netip.MustParseAddr("172.31.0.244")); err == nil || !strings.Contains(err.Error(), "172.31.0.241") {
		t.Errorf("silencing another's address: %v", err)
	}
	if _, err := w.Move(t.Context(), "demo", "a", 0); err != nil {
		t.Fatal(err)
	}
	w.eventually("a[172.31.0.242]", "[172.31.0.242]")
}

func TestAServiceThatHasANameMoves(t *testing.T) {
	a := service("a", balanced)
	a.Spec.ClusterIP = "10.96.0.7"
	w := newBalancerWorld(t, a)
	w.eventually("a[172.31.0.240]", "[172.31.0.240]")
	if err := w.Name(t.Context(), "demo", "a", "gateway.lab.internal"); err != nil {
		t.Fatal(err)
	}
	w.eventually("a[172.31.0.240]", "[172.31.0.240]")
	if _, err := w.Move(t.Context(), "demo", "a", 0); err != nil {
		t.Fatal(err)
	}
	w.eventually("a[172.31.0.241]", "[172.31.0.241]")
	named, err := w.client.CoreV1().Services("demo").Get(t.Context(), "a", metav1.GetOptions{})
	if ingress := named.Status.LoadBalancer.Ingress; err != nil || len(ingress) != 1 || ingress[0].Hostname != "gateway.lab.internal" || ingress[0].IP != "" {
		t.Errorf("the status says %v, %v", ingress, err)
	}
	if err := w.Name(t.Context(), "demo", "a", ""); err != nil {
		t.Fatal(err)
	}
	w.eventually("a[172.31.0.241]", "[172.31.0.241]")
}
