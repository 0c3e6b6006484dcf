package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Machine is one virtual machine or bare-metal host in the mesh. Its name is the host's name, its namespace the one that
// the host belongs to. The manager creates it when the host joins; deleting it makes the host leave.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=vm,categories={hawser,istio-io}
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.group`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.status.address`
// +kubebuilder:printcolumn:name="Connected",type=string,JSONPath=`.status.conditions[?(@.type=="Connected")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.revision`
// +kubebuilder:printcolumn:name="Proxy",type=string,JSONPath=`.status.proxy.version`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Agent",type=string,JSONPath=`.status.agentVersion`,priority=1
// +kubebuilder:printcolumn:name="OS",type=string,JSONPath=`.status.operatingSystem`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 253 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="a machine's name is its hostname: lower-case letters, digits, '-' and '.'"
type Machine struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   MachineSpec   `json:"spec"`
	Status MachineStatus `json:"status,omitempty"`
}

// MachineSpec is who the machine is. All but Revoked is settled when it joins.
//
// +kubebuilder:validation:XValidation:rule="self.group == oldSelf.group",message="a machine stays in the group that it joined; leave and join again to change it"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.revoked) && oldSelf.revoked) || (has(self.revoked) && self.revoked)",message="a revoked machine stays revoked; delete it and join again"
type MachineSpec struct {
	// Group is the WorkloadGroup, in the same namespace, that the machine is an instance of. Its name is a label's
	// value on what belongs to the group, which bounds its length.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Group string `json:"group"`

	// KeyFingerprint is the lower-case hex SHA-256 of the machine's public key (DER SubjectPublicKeyInfo). A client
	// certificate of another key is refused.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	KeyFingerprint string `json:"keyFingerprint"`

	// MachineID is the content of /etc/machine-id when the machine joined, to tell clones apart.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	MachineID string `json:"machineID,omitempty"`

	// Revoked cuts the machine off at once and for good.
	// +optional
	Revoked bool `json:"revoked,omitempty"`
}

// MachineStatus is what the manager and the machine's agent found last.
type MachineStatus struct {
	// Conditions: Connected, ConfigCurrent, ProxyReady, IdentityValid, Intercepting, Healthy, Ready.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Address that callers reach the machine by.
	// +optional
	Address string `json:"address,omitempty"`
	// Addresses are all of the host's addresses, the default route's first.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Addresses []string `json:"addresses,omitempty"`

	// WorkloadEntry is the name of the entry that the manager keeps for the machine.
	// +optional
	WorkloadEntry string `json:"workloadEntry,omitempty"`

	// Revision of Istio that the machine follows.
	// +optional
	Revision string `json:"revision,omitempty"`

	// DesiredGeneration and AppliedGeneration are hashes of the machine's desired state: equal when it is current.
	// +optional
	DesiredGeneration string `json:"desiredGeneration,omitempty"`
	// +optional
	AppliedGeneration string `json:"appliedGeneration,omitempty"`

	// +optional
	Proxy *MachineProxy `json:"proxy,omitempty"`
	// +optional
	Connection *MachineConnection `json:"connection,omitempty"`

	// +optional
	AgentVersion string `json:"agentVersion,omitempty"`
	// Hostname is what the host was called when its agent connected. A machine keeps the name that it joined by.
	// +optional
	Hostname string `json:"hostname,omitempty"`
	// +optional
	OperatingSystem string `json:"operatingSystem,omitempty"`
	// +optional
	KernelVersion string `json:"kernelVersion,omitempty"`
	// +optional
	Architecture string `json:"architecture,omitempty"`

	// AgentCertificateExpiry is the end of the certificate that the agent identifies itself with.
	// +optional
	AgentCertificateExpiry *metav1.Time `json:"agentCertificateExpiry,omitempty"`
	// ProxyCertificateExpiry is the end of the proxy's workload certificate.
	// +optional
	ProxyCertificateExpiry *metav1.Time `json:"proxyCertificateExpiry,omitempty"`
}

// MachineProxy is the proxy that runs on the machine.
type MachineProxy struct {
	// Version of Istio.
	// +optional
	Version string `json:"version,omitempty"`
	// ImageDigest of the image that its files came from.
	// +optional
	ImageDigest string `json:"imageDigest,omitempty"`
	// Slot that carries the traffic.
	// +optional
	// +kubebuilder:validation:Enum=a;b;""
	Slot string `json:"slot,omitempty"`
	// +optional
	Ready bool `json:"ready,omitempty"`
}

// MachineConnection is the stream that the agent holds to one of the manager's replicas.
type MachineConnection struct {
	// Manager is the name of the replica's Pod.
	Manager string `json:"manager"`
	// Session is unique for each stream.
	Session string `json:"session"`
	// Since when the stream stands.
	Since metav1.Time `json:"since"`
	// BootID of the host's kernel.
	// +optional
	BootID string `json:"bootID,omitempty"`
}

// MachineList is a list of machines.
//
// +kubebuilder:object:root=true
type MachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Machine `json:"items"`
}
