package facts

import (
	"fmt"
	"slices"
	"time"
)

// Policy is what holds for a group's machines: its MachinePolicies merged, with defaults filled in.
type Policy struct {
	EgressNamespaces  []string
	IngressNamespaces []string
	// DenyExternal blocks traffic to addresses outside the mesh.
	DenyExternal bool
	// Intercept is false for mode None.
	Intercept            bool
	ExcludeInboundPorts  []int32
	ExcludeOutboundPorts []int32
	ExcludeOutboundCIDRs []string
	// HoldTraffic while the proxy cannot run.
	HoldTraffic bool
	DNS         bool
	// MemoryMax in bytes, 0: no limit.
	MemoryMax int64
	OpenFiles int64
	Drain     time.Duration
	// RestartManually: the machine's owner restarts the proxy for new settings, not the agent.
	RestartManually bool
	// DrainDeadline of a proxy that another one has taken over from.
	DrainDeadline time.Duration
	// CertificateLifetime of the agent's client certificate, and RecoveryWindow after its end.
	CertificateLifetime time.Duration
	RecoveryWindow      time.Duration
	// IstioTokenLifetime is asked of the API server.
	IstioTokenLifetime time.Duration
	// AddressCIDR selects the address that callers use, empty: the default route's.
	AddressCIDR string
	// Notices tell which values of which policies lost to another policy's.
	Notices []Notice
}

// PolicyOf merges the policies that select the group: lists are united and sorted; of single values the policy that comes first by
// name wins, and a different value of a later one is told by a notice.
func (f Facts) PolicyOf(namespace, group string) Policy {
	merged := Policy{}
	m := merger{namespace: namespace}
	var external, mode, failure, dns, memory, files, drain, restart, deadline, lifetime, window, token, cidr scalar
	for _, p := range f.Policies[namespace] {
		if len(p.Spec.Groups) > 0 && !slices.Contains(p.Spec.Groups, group) {
			continue
		}
		spec := p.Spec
		if e := spec.Egress; e != nil {
			merged.EgressNamespaces = append(merged.EgressNamespaces, e.Namespaces...)
			m.take(&external, p.Name, "egress.external", e.External)
		}
		if i := spec.Ingress; i != nil {
			merged.IngressNamespaces = append(merged.IngressNamespaces, i.Namespaces...)
		}
		if i := spec.Interception; i != nil {
			m.take(&mode, p.Name, "interception.mode", i.Mode)
			m.take(&failure, p.Name, "interception.onProxyFailure", i.OnProxyFailure)
			merged.ExcludeInboundPorts = append(merged.ExcludeInboundPorts, i.ExcludeInboundPorts...)
			merged.ExcludeOutboundPorts = append(merged.ExcludeOutboundPorts, i.ExcludeOutboundPorts...)
			merged.ExcludeOutboundCIDRs = append(merged.ExcludeOutboundCIDRs, i.ExcludeOutboundCIDRs...)
		}
		if d := spec.DNS; d != nil && d.Enabled != nil {
			m.take(&dns, p.Name, "dns.enabled", *d.Enabled)
		}
		if l := spec.Proxy; l != nil {
			if l.MemoryMax != nil {
				m.take(&memory, p.Name, "proxy.memoryMax", l.MemoryMax.Value())
			}
			if l.OpenFiles != nil {
				m.take(&files, p.Name, "proxy.openFiles", *l.OpenFiles)
			}
			if l.Drain != nil {
				m.take(&drain, p.Name, "proxy.drain", l.Drain.Duration)
			}
			m.take(&restart, p.Name, "proxy.restart", l.Restart)
		}
		if u := spec.ProxyUpgrade; u != nil && u.DrainDeadline != nil {
			m.take(&deadline, p.Name, "proxyUpgrade.drainDeadline", u.DrainDeadline.Duration)
		}
		if i := spec.Identity; i != nil {
			if i.CertificateLifetime != nil {
				m.take(&lifetime, p.Name, "identity.certificateLifetime", i.CertificateLifetime.Duration)
			}
			if i.RecoveryWindow != nil {
				m.take(&window, p.Name, "identity.recoveryWindow", i.RecoveryWindow.Duration)
			}
			if i.IstioTokenLifetime != nil {
				m.take(&token, p.Name, "identity.istioTokenLifetime", i.IstioTokenLifetime.Duration)
			}
		}
		if a := spec.Address; a != nil {
			m.take(&cidr, p.Name, "address.cidr", a.CIDR)
		}
	}
	sortUnique(&merged.EgressNamespaces)
	sortUnique(&merged.IngressNamespaces)
	sortUnique(&merged.ExcludeInboundPorts)
	sortUnique(&merged.ExcludeOutboundPorts)
	sortUnique(&merged.ExcludeOutboundCIDRs)
	merged.DenyExternal = or(external, "Allow") == "Deny"
	merged.Intercept = or(mode, "Redirect") != "None"
	merged.HoldTraffic = or(failure, "Pass") == "Hold"
	merged.DNS = or(dns, true)
	merged.MemoryMax = or(memory, int64(0))
	merged.OpenFiles = or(files, int64(65536))
	merged.Drain = or(drain, 5*time.Second)
	merged.RestartManually = or(restart, "Automatic") == "Manual"
	merged.DrainDeadline = or(deadline, time.Minute)
	merged.CertificateLifetime = or(lifetime, 24*time.Hour)
	merged.RecoveryWindow = or(window, 30*24*time.Hour)
	merged.IstioTokenLifetime = or(token, 24*time.Hour)
	merged.AddressCIDR = or(cidr, "")
	merged.Notices = m.notices
	return merged
}

// scalar is a single value and the policy that set it.
type scalar struct {
	policy string
	value  any
}

type merger struct {
	namespace string
	notices   []Notice
}

// take keeps the first value that is set (not "") and notes a later one that differs.
func (m *merger) take(s *scalar, policy, field string, value any) {
	switch {
	case value == "":
	case s.policy == "":
		*s = scalar{policy: policy, value: value}
	case s.value != value:
		m.notices = append(m.notices, Notice{
			Reason: NoticePolicyConflict,
			Message: fmt.Sprintf("MachinePolicy %s/%s sets %s to %v and %s/%s sets it to %v: the first by name holds, %v",
				m.namespace, s.policy, field, s.value, m.namespace, policy, value, s.value),
		})
	}
}

func or[T any](s scalar, otherwise T) T {
	if s.policy == "" {
		return otherwise
	}
	return s.value.(T)
}

func sortUnique[T interface{ ~string | ~int32 }](list *[]T) {
	slices.Sort(*list)
	*list = slices.Compact(*list)
}
