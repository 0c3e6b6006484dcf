package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MachinePolicy sets how the machines of a namespace's groups are treated. Several policies that select one group are merged:
// lists are united; of single values the policy that comes first by name wins.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,categories={hawser}
// +kubebuilder:printcolumn:name="Groups",type=string,JSONPath=`.spec.groups`
// +kubebuilder:printcolumn:name="Egress",type=string,JSONPath=`.spec.egress.namespaces`
// +kubebuilder:printcolumn:name="Ingress",type=string,JSONPath=`.spec.ingress.namespaces`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type MachinePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec MachinePolicySpec `json:"spec"`
}

// MachinePolicySpec is empty by default: confined to the own namespace, everything intercepted.
type MachinePolicySpec struct {
	// Groups are the WorkloadGroups that the policy is for; empty: all of the namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Groups []string `json:"groups,omitempty"`
	// Egress opens what the machines may call beyond their own namespace.
	// +optional
	Egress *Egress `json:"egress,omitempty"`
	// Ingress opens who beyond the own namespace may call the machines.
	// +optional
	Ingress *Ingress `json:"ingress,omitempty"`
	// Interception says which traffic goes through the proxy.
	// +optional
	Interception *Interception `json:"interception,omitempty"`
	// DNS says whether names of the cluster resolve on the host.
	// +optional
	DNS *DNS `json:"dns,omitempty"`
	// Proxy limits what the proxy may use.
	// +optional
	Proxy *ProxyLimits `json:"proxy,omitempty"`
	// ProxyUpgrade says how a proxy of another version takes over.
	// +optional
	ProxyUpgrade *ProxyUpgrade `json:"proxyUpgrade,omitempty"`
	// Identity sets the life of the agent's certificates and of the proxy's tokens.
	// +optional
	Identity *Identity `json:"identity,omitempty"`
	// Address says which of the host's addresses callers use.
	// +optional
	Address *Address `json:"address,omitempty"`
}

// Egress opens namespaces, and says what becomes of traffic that leaves the mesh.
type Egress struct {
	// Namespaces whose services the machines may call.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`
	// External is what happens to traffic to addresses that are not in the mesh: Allow (default) lets it pass as before the
	// join, Deny blocks it.
	// +optional
	// +kubebuilder:validation:Enum=Allow;Deny
	External string `json:"external,omitempty"`
}

// Ingress opens the machines to callers of further namespaces.
type Ingress struct {
	// Namespaces whose workloads may call the machines.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:items:MaxLength=63
	Namespaces []string `json:"namespaces,omitempty"`
}

// Interception is in the terms of istio-iptables.
type Interception struct {
	// Mode: Redirect (default) or None.
	// +optional
	// +kubebuilder:validation:Enum=Redirect;None
	Mode string `json:"mode,omitempty"`
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	ExcludeInboundPorts []int32 `json:"excludeInboundPorts,omitempty"`
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:Minimum=1
	// +kubebuilder:validation:items:Maximum=65535
	ExcludeOutboundPorts []int32 `json:"excludeOutboundPorts,omitempty"`
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=43
	ExcludeOutboundCIDRs []string `json:"excludeOutboundCIDRs,omitempty"`
	// OnProxyFailure is what becomes of the host's traffic while the proxy cannot run: it passes without it (Pass, the default), or is held
	// until the proxy serves (Hold). Either way callers of the machine turn elsewhere.
	// +optional
	// +kubebuilder:validation:Enum=Pass;Hold
	OnProxyFailure string `json:"onProxyFailure,omitempty"`
}

// DNS of the host.
type DNS struct {
	// Enabled (default true): names of the cluster resolve on the host.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`
}

// ProxyLimits is about the proxy's systemd unit.
type ProxyLimits struct {
	// MemoryMax is the hard limit of the proxy's memory.
	// +optional
	MemoryMax *resource.Quantity `json:"memoryMax,omitempty"`
	// OpenFiles is the limit of open files, 65536 by default.
	// +optional
	// +kubebuilder:validation:Minimum=1024
	// +kubebuilder:validation:Maximum=1048576
	OpenFiles *int64 `json:"openFiles,omitempty"`
	// Drain is how long the proxy lets requests in flight end when it is stopped, 5 s by default.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('1h')",message="a drain lasts from 0s to 1h"
	Drain *metav1.Duration `json:"drain,omitempty"`
	// Restart says who restarts the proxy for settings that it reads at its start only, and for another version: the agent, at once
	// (Automatic, the default), or the machine's owner (Manual). Condition RestartRequired tells that it is due.
	// +optional
	// +kubebuilder:validation:Enum=Automatic;Manual
	Restart string `json:"restart,omitempty"`
}

// ProxyUpgrade is about a proxy of another version, which starts beside the running one and takes over from it.
type ProxyUpgrade struct {
	// DrainDeadline is how long connections may go on with the former proxy once it takes no new ones, 1 min by default. What is left then is cut.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('24h')",message="a drain deadline is from 0s to 24h"
	DrainDeadline *metav1.Duration `json:"drainDeadline,omitempty"`
}

// Identity sets the life of the agent's certificates and of the proxy's tokens.
type Identity struct {
	// CertificateLifetime of the agent's client certificate, 24 h by default; renewed at half of it.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('8760h')",message="an agent's certificate lasts from 1m to 8760h"
	CertificateLifetime *metav1.Duration `json:"certificateLifetime,omitempty"`
	// RecoveryWindow is how long after the end of its certificate a machine may come back with the key that it joined
	// with, 30 days by default.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('87600h')",message="the recovery window lasts from 0s to 87600h"
	RecoveryWindow *metav1.Duration `json:"recoveryWindow,omitempty"`
	// IstioTokenLifetime of the token that the proxy shows to istiod, 24 h by default; refreshed at half of it. The API server may grant
	// less. A change holds for the tokens that are fetched after it.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10m') && duration(self) <= duration('8760h')",message="an Istio token lasts from 10m to 8760h"
	IstioTokenLifetime *metav1.Duration `json:"istioTokenLifetime,omitempty"`
}

// Address chooses among a host's addresses.
type Address struct {
	// CIDR: the first address within is used; without it, the source address of the default route.
	// +optional
	// +kubebuilder:validation:MaxLength=43
	// +kubebuilder:validation:XValidation:rule="self == '' || isCIDR(self)",message="not an address range, like 10.1.0.0/16 or fd00::/64"
	CIDR string `json:"cidr,omitempty"`
}

// MachinePolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type MachinePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MachinePolicy `json:"items"`
}
