package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// JoinToken lets hosts join one WorkloadGroup. It holds the hash of the secret alone; who creates it keeps the token itself.
// Its name is the token's public ID.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,categories={hawser}
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.group`
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expiresAt`
// +kubebuilder:printcolumn:name="Max uses",type=integer,JSONPath=`.spec.maxUses`
// +kubebuilder:printcolumn:name="Used by",type=string,JSONPath=`.status.uses[*].machine`
// +kubebuilder:printcolumn:name="Revoked",type=boolean,JSONPath=`.spec.revoked`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type JoinToken struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   JoinTokenSpec   `json:"spec"`
	Status JoinTokenStatus `json:"status,omitempty"`
}

// JoinTokenSpec is settled when the token is made; it can only be revoked.
//
// +kubebuilder:validation:XValidation:rule="self.group == oldSelf.group && self.secretHash == oldSelf.secretHash && self.expiresAt == oldSelf.expiresAt && self.maxUses == oldSelf.maxUses && has(self.hostname) == has(oldSelf.hostname) && (!has(self.hostname) || self.hostname == oldSelf.hostname) && has(self.cidrs) == has(oldSelf.cidrs) && (!has(self.cidrs) || self.cidrs == oldSelf.cidrs)",message="a join token can be revoked but not changed; create another"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.revoked) && oldSelf.revoked) || (has(self.revoked) && self.revoked)",message="a revoked join token stays revoked; create another"
type JoinTokenSpec struct {
	// Group is the WorkloadGroup, in the same namespace, that the token's bearer joins. Its name is a label's
	// value on what belongs to the group, which bounds its length.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Group string `json:"group"`
	// SecretHash is the lower-case hex SHA-256 of the token's secret part.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SecretHash string `json:"secretHash"`
	// ExpiresAt ends the token.
	ExpiresAt metav1.Time `json:"expiresAt"`
	// MaxUses is how many machines may join with the token.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxUses int32 `json:"maxUses"`
	// Hostname binds the token to one host name.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Hostname string `json:"hostname,omitempty"`
	// CIDRs binds the token to hosts that have an address in one of these ranges.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=43
	CIDRs []string `json:"cidrs,omitempty"`
	// Revoked ends the token before its time.
	// +optional
	Revoked bool `json:"revoked,omitempty"`
}

// JoinTokenStatus records who used the token. It is written with optimistic concurrency: of two joins at once one wins.
type JoinTokenStatus struct {
	// +optional
	// +listType=map
	// +listMapKey=keyFingerprint
	// +kubebuilder:validation:MaxItems=1000
	Uses []JoinTokenUse `json:"uses,omitempty"`
}

// JoinTokenUse is one machine that joined. A repeated join with the same key is the same use.
type JoinTokenUse struct {
	// Machine is the host's name.
	Machine string `json:"machine"`
	// KeyFingerprint as in MachineSpec.
	KeyFingerprint string `json:"keyFingerprint"`
	// Time of the first use.
	Time metav1.Time `json:"time"`
}

// JoinTokenList is a list of join tokens.
//
// +kubebuilder:object:root=true
type JoinTokenList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []JoinToken `json:"items"`
}
