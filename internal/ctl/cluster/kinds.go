package cluster

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// Machines is the resource of the kind Machine.
func Machines() schema.GroupVersionResource { return v1alpha1.GroupVersion().WithResource("machines") }

// JoinTokens is the resource of the kind JoinToken.
func JoinTokens() schema.GroupVersionResource {
	return v1alpha1.GroupVersion().WithResource("jointokens")
}

// Groups is Istio's resource of the kind WorkloadGroup.
func Groups() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "workloadgroups"}
}

// WorkloadEntries is Istio's resource of the kind WorkloadEntry.
func WorkloadEntries() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "networking.istio.io", Version: "v1", Resource: "workloadentries"}
}

// ConfigMaps is the resource of the kind ConfigMap.
func ConfigMaps() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
}

// Events is the resource of the kind Event, in the form of the core group.
func Events() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "events"}
}
