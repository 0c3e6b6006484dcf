package cluster

import (
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// formerAnnotation holds the address that a Service had before it was moved, and the time (RFC 3339) until which it serves: "ADDRESS TIME".
const formerAnnotation = "lab.hawser.io/former-address"

// former is an address that was a Service's and still serves for a while.
type former struct {
	addr  netip.Addr
	until time.Time
}

func formerOf(service *corev1.Service) (former, bool) {
	text, at, _ := strings.Cut(service.Annotations[formerAnnotation], " ")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return former{}, false
	}
	until, err := time.Parse(time.RFC3339Nano, at)
	return former{addr, until}, err == nil
}

func (f former) left() time.Duration { return time.Until(f.until) }

// keep writes it into the Service.
func (f former) keep(service *corev1.Service) {
	metav1.SetMetaDataAnnotation(&service.ObjectMeta, formerAnnotation, f.addr.String()+" "+f.until.Format(time.RFC3339Nano))
}

func portsOf(service *corev1.Service) []uint16 {
	var ports []uint16
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolUDP {
			ports = append(ports, uint16(port.Port))
		}
	}
	return ports
}
