package cluster

import (
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Annotations keep what a Service's status does not say.
const (
	// hostnameAnnotation is the name that the status has in place of addresses, addressesAnnotation those addresses.
	hostnameAnnotation  = "lab.hawser.io/hostname"
	addressesAnnotation = "lab.hawser.io/addresses"
	// silentAnnotation holds the addresses that are dead although the Service still has them.
	silentAnnotation = "lab.hawser.io/silent-addresses"
)

// frontend is how a Service is reached from outside.
type frontend struct {
	// addrs that the Service has, the preferred one first.
	addrs []netip.Addr
	// silent are those of them that are dead, which the cluster does not know.
	silent []netip.Addr
	// hostname is all that the status says, as where load balancers have names; empty where it says the addresses.
	hostname string
}

func (b *Balancer) frontendOf(service *corev1.Service) frontend {
	f := frontend{hostname: service.Annotations[hostnameAnnotation], silent: b.parse(strings.Fields(service.Annotations[silentAnnotation]))}
	if f.hostname != "" {
		f.addrs = b.parse(strings.Fields(service.Annotations[addressesAnnotation]))
		return f
	}
	var ips []string
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		ips = append(ips, ingress.IP)
	}
	f.addrs = b.parse(ips)
	return f
}

// parse keeps what is an address of the pool.
func (b *Balancer) parse(texts []string) []netip.Addr {
	var addrs []netip.Addr
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil && b.pool.contains(addr) {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// alive are the addresses that answer.
func (f frontend) alive() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(f.addrs), func(addr netip.Addr) bool { return slices.Contains(f.silent, addr) })
}

// annotate writes into a Service's annotations what its status does not say.
func (f frontend) annotate(service *corev1.Service) {
	named := ""
	if f.hostname != "" {
		named = join(f.addrs)
	}
	for key, value := range map[string]string{hostnameAnnotation: f.hostname, addressesAnnotation: named, silentAnnotation: join(f.silent)} {
		if value == "" {
			delete(service.Annotations, key)
			continue
		}
		metav1.SetMetaDataAnnotation(&service.ObjectMeta, key, value)
	}
}

// ingress is the status.
func (f frontend) ingress() []corev1.LoadBalancerIngress {
	if f.hostname != "" {
		return []corev1.LoadBalancerIngress{{Hostname: f.hostname}}
	}
	mode := corev1.LoadBalancerIPModeVIP
	var ingress []corev1.LoadBalancerIngress
	for _, addr := range f.addrs {
		ingress = append(ingress, corev1.LoadBalancerIngress{IP: addr.String(), IPMode: &mode})
	}
	return ingress
}

// target is where connections to an address are led that the node does not translate: of a Service that is known by a name, the cluster's own
// address of it; else, for a former address, the one that took its place.
func (f frontend) target(service *corev1.Service) (netip.Addr, error) {
	if f.hostname == "" {
		return f.addrs[0], nil
	}
	return netip.ParseAddr(service.Spec.ClusterIP)
}

func join(addrs []netip.Addr) string {
	var texts []string
	for _, addr := range addrs {
		texts = append(texts, addr.String())
	}
	return strings.Join(texts, " ")
}
