package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Announcer makes the node answer for addresses. Its methods may be repeated.
type Announcer interface {
	AddAddress(ctx context.Context, addr netip.Addr) error
	// Forward leads connections to ports of an added address on to another one, until it is removed.
	Forward(ctx context.Context, from, to netip.Addr, ports []uint16) error
	RemoveAddress(ctx context.Context, addr netip.Addr) error
}

// Balancer gives each Service of type LoadBalancer an address, as a cloud's controller does; kube-proxy forwards what
// arrives there. The Services are its only memory.
type Balancer struct {
	client   kubernetes.Interface
	pool     addressPool
	announce Announcer
	changed  func(service string, addrs []netip.Addr)
	log      *slog.Logger

	informers informers.SharedInformerFactory
	wake      chan struct{}

	// mu is held while addresses are given or taken.
	mu        sync.Mutex
	announced map[netip.Addr]bool
}

// NewBalancer makes a controller for the addresses from first to last. It tells changed what addresses a Service, as
// NAMESPACE/NAME, has; also when they are the same as before.
func NewBalancer(
	client *Client, first, last netip.Addr, announce Announcer, changed func(service string, addrs []netip.Addr), log *slog.Logger,
) *Balancer {
	factory := informers.NewSharedInformerFactory(client.Kubernetes, 0)
	return &Balancer{
		client: client.Kubernetes, pool: addressPool{first, last}, announce: announce, changed: changed, log: log,
		informers: factory,
		wake:      make(chan struct{}, 1), announced: map[netip.Addr]bool{},
	}
}

// Run works until the context ends.
func (b *Balancer) Run(ctx context.Context) error {
	notify := func(any) {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
	informer := b.informers.Core().V1().Services().Informer()
	handler := cache.ResourceEventHandlerFuncs{AddFunc: notify, UpdateFunc: func(_, now any) { notify(now) }, DeleteFunc: notify}
	if _, err := informer.AddEventHandler(handler); err != nil {
		return fmt.Errorf("watch Services: %w", err)
	}
	b.informers.Start(ctx.Done())
	defer b.informers.Shutdown()
	b.informers.WaitForCacheSync(ctx.Done())
	for {
		again := b.reconcile(ctx)
		select {
		case <-b.wake:
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
	}
}

// reconcile brings all Services and announced addresses in order, and says when to look again at the latest.
func (b *Balancer) reconcile(ctx context.Context) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	const retry = time.Second
	services, err := b.balanced(ctx)
	if err != nil {
		b.log.Error("cannot list Services", "error", err)
		return retry
	}
	again := time.Hour
	used := b.used(services)
	for i := range services {
		service := &services[i]
		until, err := b.settle(ctx, service, used)
		if err != nil {
			b.log.Error("cannot give a Service its address", "service", service.Namespace+"/"+service.Name, "error", err)
			until = retry
		}
		b.changed(service.Namespace+"/"+service.Name, b.frontendOf(service).addrs)
		again = min(again, until)
	}
	for i := range services {
		for _, silent := range b.frontendOf(&services[i]).silent {
			delete(used, silent)
		}
	}
	if err := b.announceOnly(ctx, used); err != nil {
		b.log.Error("cannot announce addresses", "error", err)
		return retry
	}
	return again
}

// used are the addresses of all Services, and those that they had.
func (b *Balancer) used(services []corev1.Service) map[netip.Addr]bool {
	used := map[netip.Addr]bool{}
	for i := range services {
		for _, addr := range b.frontendOf(&services[i]).addrs {
			used[addr] = true
		}
		if former, ok := formerOf(&services[i]); ok && former.left() > 0 {
			used[former.addr] = true
		}
	}
	return used
}

// settle gives one Service an address if it has none, and says when a former one is to go.
func (b *Balancer) settle(ctx context.Context, service *corev1.Service, used map[netip.Addr]bool) (again time.Duration, err error) {
	f := b.frontendOf(service)
	if len(f.addrs) == 0 {
		addr, err := b.pool.next(netip.Addr{}, used)
		if err != nil {
			return 0, err
		}
		used[addr] = true
		f.addrs = []netip.Addr{addr}
		return time.Hour, b.publish(ctx, service, f)
	}
	again = time.Hour
	if former, ok := formerOf(service); ok && former.left() > 0 {
		again = former.left()
	}
	return again, b.serve(ctx, service, f)
}

// serve has all addresses of a Service answer that are not silent, and its former one as long as that may.
func (b *Balancer) serve(ctx context.Context, service *corev1.Service, f frontend) error {
	led := map[netip.Addr]bool{}
	for _, addr := range f.alive() {
		led[addr] = f.hostname != ""
	}
	if former, ok := formerOf(service); ok && former.left() > 0 {
		led[former.addr] = true
	}
	target, err := f.target(service)
	if err != nil {
		return fmt.Errorf("the cluster's address of Service %s/%s: %w", service.Namespace, service.Name, err)
	}
	for addr, lead := range led {
		if err := b.announceOne(ctx, addr); err != nil {
			return err
		}
		if !lead {
			continue
		}
		if err := b.announce.Forward(ctx, addr, target, portsOf(service)); err != nil {
			return err
		}
	}
	return nil
}

// Addresses returns the addresses that a Service has now, the preferred one first.
func (b *Balancer) Addresses(ctx context.Context, namespace, name string) ([]netip.Addr, error) {
	service, err := b.client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("find Service %s/%s: %w", namespace, name, err)
	}
	return b.frontendOf(service).addrs, nil
}

// balanced lists the Services that need an address. It asks the API server itself: an informer's list may be older than what
// was given last, which would then be given again.
func (b *Balancer) balanced(ctx context.Context) ([]corev1.Service, error) {
	all, err := b.client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	return slices.DeleteFunc(all.Items, func(service corev1.Service) bool {
		return service.Spec.Type != corev1.ServiceTypeLoadBalancer || service.DeletionTimestamp != nil
	}), nil
}

// publish writes into a Service's status how it is reached.
func (b *Balancer) publish(ctx context.Context, service *corev1.Service, f frontend) error {
	service = service.DeepCopy()
	service.Status.LoadBalancer.Ingress = f.ingress()
	_, err := b.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, service, metav1.UpdateOptions{})
	if err == nil {
		b.log.Info("service addresses changed", "service", service.Namespace+"/"+service.Name, "addresses", f.addrs, "hostname", f.hostname)
	}
	return err
}

// announceOnly makes the announced addresses the wanted ones. Those of the pool that an earlier life left are unknown, but
// went with its network.
func (b *Balancer) announceOnly(ctx context.Context, wanted map[netip.Addr]bool) error {
	var errs []error
	for addr := range wanted {
		errs = append(errs, b.announceOne(ctx, addr))
	}
	for addr := range b.announced {
		if wanted[addr] {
			continue
		}
		if err := b.announce.RemoveAddress(ctx, addr); err != nil {
			errs = append(errs, err)
			continue
		}
		delete(b.announced, addr)
	}
	return errors.Join(errs...)
}

func (b *Balancer) announceOne(ctx context.Context, addr netip.Addr) error {
	if b.announced[addr] {
		return nil
	}
	if err := b.announce.AddAddress(ctx, addr); err != nil {
		return err
	}
	b.announced[addr] = true
	return nil
}
