package facts

import (
	"fmt"
	"maps"

	networking "istio.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// Labels that Istio derives a workload's canonical service from (pkg/kube/labels/labels.go), the first found wins.
const (
	LabelCanonicalName     = "service.istio.io/canonical-name"
	LabelCanonicalRevision = "service.istio.io/canonical-revision"
)

// Group is a WorkloadGroup. Spec is shared with the informer and must not be changed.
type Group struct {
	types.NamespacedName
	UID types.UID
	// Labels and Annotations of the object itself; those of its machines are in Spec.Metadata.
	Labels      map[string]string
	Annotations map[string]string
	Spec        *networking.WorkloadGroup
}

// ServiceAccount of the group's machines; Istio's default for an empty field is "default".
func (g Group) ServiceAccount() string {
	if name := g.Spec.GetTemplate().GetServiceAccount(); name != "" {
		return name
	}
	return "default"
}

// AccountOf a machine is the ServiceAccount that it acts as now: that of its token, and the group's as long as it has none.
func (g Group) AccountOf(machine Machine) string {
	if machine.ServiceAccount != "" {
		return machine.ServiceAccount
	}
	return g.ServiceAccount()
}

// AccountPending says that the machine does not act as the group's ServiceAccount yet; nil if it does. What it gets goes by the account that its
// token is of: with one of another account the proxy would be refused.
func (g Group) AccountPending(machine Machine) *Problem {
	wanted, has := g.ServiceAccount(), g.AccountOf(machine)
	if wanted == has {
		return nil
	}
	return &Problem{
		Reason:  ReasonAccountPending,
		Message: fmt.Sprintf("WorkloadGroup %s names ServiceAccount %s, of which the manager has not got a token yet; the machine goes on as %s", g.NamespacedName, wanted, has),
		Next:    fmt.Sprintf("check that ServiceAccount %s exists in namespace %s", wanted, g.Namespace),
	}
}

// Canonical returns the names of the canonical service and of its revision.
func (g Group) Canonical() (service, revision string) {
	labels := g.templateLabels()
	service = firstOf(labels, g.Name, LabelCanonicalName, "app.kubernetes.io/name", "app")
	revision = firstOf(labels, "latest", LabelCanonicalRevision, "app.kubernetes.io/version", "version")
	return service, revision
}

// MachineLabels are the labels that the group's machines carry in the mesh, on WorkloadEntry and proxy alike: those of the group's
// metadata, overridden by its template's (istioctl/pkg/workload/workload.go, createMeshConfig), the canonical service's, and hawser.io/group.
// The map is the caller's own.
func (g Group) MachineLabels() map[string]string {
	labels := g.templateLabels()
	labels[LabelCanonicalName], labels[LabelCanonicalRevision] = g.Canonical()
	labels[v1alpha1.LabelGroup] = g.Name
	return labels
}

func (g Group) templateLabels() map[string]string {
	labels := map[string]string{}
	maps.Copy(labels, g.Spec.GetMetadata().GetLabels())
	maps.Copy(labels, g.Spec.GetTemplate().GetLabels())
	return labels
}

func firstOf(labels map[string]string, otherwise string, keys ...string) string {
	for _, key := range keys {
		if value, ok := labels[key]; ok {
			return value
		}
	}
	return otherwise
}
