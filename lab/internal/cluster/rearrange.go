package cluster

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Move gives a Service another address in place of all that it has, and returns it. The former one is not the Service's any more; for the time of the
// overlap it still serves.
func (b *Balancer) Move(ctx context.Context, namespace, name string, overlap time.Duration) (netip.Addr, error) {
	var addr netip.Addr
	err := b.rearrange(ctx, namespace, name, func(service *corev1.Service, f *frontend, used map[netip.Addr]bool) (err error) {
		var last netip.Addr
		if len(f.addrs) > 0 {
			last = f.addrs[0]
		}
		if addr, err = b.pool.next(last, used); err != nil {
			return err
		}
		f.addrs, f.silent = []netip.Addr{addr}, nil
		if overlap > 0 && last.IsValid() {
			former{last, time.Now().Add(overlap)}.keep(service)
		}
		return nil
	})
	return addr, err
}

// Add gives a Service one more address and returns it.
func (b *Balancer) Add(ctx context.Context, namespace, name string) (netip.Addr, error) {
	var addr netip.Addr
	err := b.rearrange(ctx, namespace, name, func(_ *corev1.Service, f *frontend, used map[netip.Addr]bool) (err error) {
		if len(f.addrs) == 0 {
			return fmt.Errorf("the Service %s/%s has no address yet", namespace, name)
		}
		if addr, err = b.pool.next(f.addrs[len(f.addrs)-1], used); err == nil {
			f.addrs = append(f.addrs, addr)
		}
		return err
	})
	return addr, err
}

// Silence has an address of a Service answer no more, as when what is behind it dies: nobody tells the cluster.
func (b *Balancer) Silence(ctx context.Context, namespace, name string, addr netip.Addr) error {
	return b.rearrange(ctx, namespace, name, func(_ *corev1.Service, f *frontend, _ map[netip.Addr]bool) error {
		if !slices.Contains(f.addrs, addr) {
			return fmt.Errorf("%s is not an address of Service %s/%s, which has %v", addr, namespace, name, f.addrs)
		}
		if !slices.Contains(f.silent, addr) {
			f.silent = append(f.silent, addr)
		}
		return nil
	})
}

// Name has the status of a Service say a host name in place of its addresses, or those again if it is empty.
func (b *Balancer) Name(ctx context.Context, namespace, name, hostname string) error {
	return b.rearrange(ctx, namespace, name, func(_ *corev1.Service, f *frontend, _ map[netip.Addr]bool) error {
		f.hostname = hostname
		return nil
	})
}

// rearrange changes how a Service is reached: its annotations first, which say all of it, then what answers, and then its status.
func (b *Balancer) rearrange(
	ctx context.Context, namespace, name string, change func(service *corev1.Service, f *frontend, used map[netip.Addr]bool) error,
) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	service, err := b.client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("find Service %s/%s: %w", namespace, name, err)
	}
	services, err := b.balanced(ctx)
	if err != nil {
		return err
	}
	f := b.frontendOf(service)
	before := maps.Clone(service.Annotations)
	if err := change(service, &f, b.used(services)); err != nil {
		return err
	}
	if f.annotate(service); !maps.Equal(before, service.Annotations) {
		if service, err = b.client.CoreV1().Services(namespace).Update(ctx, service, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("change Service %s/%s: %w", namespace, name, err)
		}
	}
	if err := b.serve(ctx, service, f); err != nil {
		return err
	}
	return b.publish(ctx, service, f)
}
