package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of Hawser's resources.
const Group = "hawser.io"

// GroupVersion returns hawser.io/v1alpha1.
func GroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: Group, Version: "v1alpha1"}
}

// AddToScheme registers the types of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion(),
		&Machine{}, &MachineList{},
		&JoinToken{}, &JoinTokenList{},
		&MachinePolicy{}, &MachinePolicyList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion())
	return nil
}
