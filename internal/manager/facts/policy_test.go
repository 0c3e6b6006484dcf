package facts_test

import (
	"reflect"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

func policy(name string, spec v1alpha1.MachinePolicySpec) *v1alpha1.MachinePolicy {
	return &v1alpha1.MachinePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: spec}
}

func ptr[T any](value T) *T { return &value }

// defaults are what holds where no policy says anything.
func defaults() facts.Policy {
	return facts.Policy{
		Intercept: true, DNS: true, OpenFiles: 65536, Drain: 5 * time.Second, DrainDeadline: time.Minute, CertificateLifetime: 24 * time.Hour, RecoveryWindow: 30 * 24 * time.Hour, IstioTokenLifetime: 24 * time.Hour,
	}
}

func TestPolicyOf(t *testing.T) {
	for name, c := range map[string]struct {
		policies []*v1alpha1.MachinePolicy
		want     func(p *facts.Policy)
	}{
		"none": {nil, func(*facts.Policy) {}},
		"empty": {[]*v1alpha1.MachinePolicy{policy("a", v1alpha1.MachinePolicySpec{
			Egress: &v1alpha1.Egress{}, Ingress: &v1alpha1.Ingress{}, Interception: &v1alpha1.Interception{}, DNS: &v1alpha1.DNS{},
			Proxy: &v1alpha1.ProxyLimits{}, ProxyUpgrade: &v1alpha1.ProxyUpgrade{}, Identity: &v1alpha1.Identity{}, Address: &v1alpha1.Address{},
		})}, func(*facts.Policy) {}},
		"every-value": {[]*v1alpha1.MachinePolicy{policy("a", v1alpha1.MachinePolicySpec{
			Egress:       &v1alpha1.Egress{Namespaces: []string{"bank"}, External: "Deny"},
			Ingress:      &v1alpha1.Ingress{Namespaces: []string{"ops"}},
			Interception: &v1alpha1.Interception{Mode: "None", OnProxyFailure: "Hold", ExcludeInboundPorts: []int32{22}, ExcludeOutboundPorts: []int32{25}, ExcludeOutboundCIDRs: []string{"10.0.0.0/8"}},
			DNS:          &v1alpha1.DNS{Enabled: ptr(false)},
			Proxy:        &v1alpha1.ProxyLimits{MemoryMax: ptr(resource.MustParse("1Gi")), OpenFiles: ptr(int64(1024)), Drain: &metav1.Duration{Duration: time.Second}},
			ProxyUpgrade: &v1alpha1.ProxyUpgrade{DrainDeadline: &metav1.Duration{Duration: time.Hour}},
			Identity:     &v1alpha1.Identity{CertificateLifetime: &metav1.Duration{Duration: time.Hour}, RecoveryWindow: &metav1.Duration{Duration: 2 * time.Hour}, IstioTokenLifetime: &metav1.Duration{Duration: 3 * time.Hour}},
			Address:      &v1alpha1.Address{CIDR: "172.31.0.0/24"},
		})}, func(p *facts.Policy) {
			*p = facts.Policy{
				EgressNamespaces: []string{"bank"}, IngressNamespaces: []string{"ops"}, DenyExternal: true, HoldTraffic: true,
				ExcludeInboundPorts: []int32{22}, ExcludeOutboundPorts: []int32{25}, ExcludeOutboundCIDRs: []string{"10.0.0.0/8"},
				MemoryMax: 1 << 30, OpenFiles: 1024, Drain: time.Second, DrainDeadline: time.Hour, CertificateLifetime: time.Hour, RecoveryWindow: 2 * time.Hour, IstioTokenLifetime: 3 * time.Hour, AddressCIDR: "172.31.0.0/24",
			}
		}},
		"of-another-group": {[]*v1alpha1.MachinePolicy{
			policy("a", v1alpha1.MachinePolicySpec{Groups: []string{"catalog"}, Egress: &v1alpha1.Egress{Namespaces: []string{"bank"}}}),
		}, func(*facts.Policy) {}},
		"lists-are-united": {[]*v1alpha1.MachinePolicy{
			policy("a", v1alpha1.MachinePolicySpec{Egress: &v1alpha1.Egress{Namespaces: []string{"ops", "bank"}}}),
			policy("b", v1alpha1.MachinePolicySpec{Groups: []string{"catalog", "ratings"}, Egress: &v1alpha1.Egress{Namespaces: []string{"bank", "audit"}}}),
		}, func(p *facts.Policy) { p.EgressNamespaces = []string{"audit", "bank", "ops"} }},
		"the-first-by-name-holds": {[]*v1alpha1.MachinePolicy{
			policy("a", v1alpha1.MachinePolicySpec{DNS: &v1alpha1.DNS{Enabled: ptr(false)}}),
			policy("b", v1alpha1.MachinePolicySpec{DNS: &v1alpha1.DNS{Enabled: ptr(true)}}),
		}, func(p *facts.Policy) {
			p.DNS = false
			p.Notices = []facts.Notice{{
				Reason:  "PolicyConflict",
				Message: "MachinePolicy shop/a sets dns.enabled to false and shop/b sets it to true: the first by name holds, false",
			}}
		}},
		"the-same-value-is-no-conflict": {[]*v1alpha1.MachinePolicy{
			policy("a", v1alpha1.MachinePolicySpec{Address: &v1alpha1.Address{CIDR: "10.0.0.0/8"}}),
			policy("b", v1alpha1.MachinePolicySpec{Address: &v1alpha1.Address{CIDR: "10.0.0.0/8"}}),
		}, func(p *facts.Policy) { p.AddressCIDR = "10.0.0.0/8" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts.Facts{Policies: map[string][]*v1alpha1.MachinePolicy{"shop": c.policies}}
			want := defaults()
			c.want(&want)
			if got := f.PolicyOf("shop", "ratings"); !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v\nwant\n%+v", got, want)
			}
			if got := f.PolicyOf("bank", "ratings"); !reflect.DeepEqual(got, defaults()) {
				t.Errorf("another namespace has\n%+v", got)
			}
		})
	}
}

// A snapshot is shared: merging must not sort the lists of the objects themselves.
func TestPolicyOfChangesNoPolicy(t *testing.T) {
	only := policy("a", v1alpha1.MachinePolicySpec{Egress: &v1alpha1.Egress{Namespaces: []string{"ops", "bank"}}})
	facts.Facts{Policies: map[string][]*v1alpha1.MachinePolicy{"shop": {only}}}.PolicyOf("shop", "ratings")
	if got := only.Spec.Egress.Namespaces; got[0] != "ops" {
		t.Errorf("the policy says %v now", got)
	}
}
