package facts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	mesh "istio.io/api/mesh/v1alpha1"
)

// DefaultRevision is Istio's name for the revision without one (istio.io/istio, istioctl/pkg/workload: isRevisioned).
const DefaultRevision = "default"

// Labels and annotations of Istio that decide about a revision and its image.
const (
	LabelRevision            = "istio.io/rev"
	LabelInjection           = "istio-injection"
	AnnotationProxyImage     = "sidecar.istio.io/proxyImage"
	AnnotationProxyImageType = "sidecar.istio.io/proxyImageType"
)

// Revision is one control plane and its configuration.
type Revision struct {
	Name string
	// Mesh is the key "mesh" of ConfigMap istio[-<revision>]; never nil unless Problem is set.
	Mesh *mesh.MeshConfig
	// Injector holds what matters of the key "values" of ConfigMap istio-sidecar-injector[-<revision>].
	Injector Injector
	// Problem is set when the configuration is incomplete or cannot be read.
	Problem *Problem
}

// Injector is what a revision's injector gives to proxies (Helm values below "global").
type Injector struct {
	// Hub, Image, Tag and Variant make the proxy's image reference.
	Hub     string
	Image   string
	Tag     string
	Variant string
	// ClusterName is multiCluster.clusterName.
	ClusterName string
	// Network of the cluster's pods.
	Network string
}

// RevisionOf returns the revision that a group's machines follow, as a pod of its namespace would: what the namespace says holds, by
// istio-injection=enabled (the default revision) or istio.io/rev; else the label istio.io/rev of the group or of its machines' metadata; else the
// default revision (istio.io/istio, manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml). A name is looked up among the tags
// first, as a tag "default" moves what had no name. Where two of them stand for different revisions a pod would follow one without a word; a machine
// follows neither.
func (f Facts) RevisionOf(group Group) (Revision, *Problem) {
	said := f.revisionsSaid(group)
	first := said[0]
	for _, other := range said[1:] {
		if f.resolved(other.name) != f.resolved(first.name) {
			return Revision{}, f.conflictingRevisions(group, first, other)
		}
	}
	resolved := f.resolved(first.name)
	revision, ok := f.Revisions[resolved]
	if !ok {
		return Revision{}, f.unknownRevision(group, first.name, resolved)
	}
	if revision.Problem != nil {
		return Revision{}, revision.Problem
	}
	return revision, nil
}

// revisionSaid is a revision or a tag, and what names it.
type revisionSaid struct{ name, by string }

// revisionsSaid are all that is said of a group's revision, what a pod would follow first; at least one.
func (f Facts) revisionsSaid(group Group) []revisionSaid {
	var said []revisionSaid
	namespace := f.Namespaces[group.Namespace].Labels
	if namespace[LabelInjection] == "enabled" {
		said = append(said, revisionSaid{DefaultRevision, fmt.Sprintf("label %s=enabled of namespace %s", LabelInjection, group.Namespace)})
	}
	for _, labelled := range []struct {
		labels map[string]string
		of     string
	}{
		{namespace, "namespace " + group.Namespace},
		{group.Labels, fmt.Sprintf("WorkloadGroup %s", group.NamespacedName)},
		{group.Spec.GetMetadata().GetLabels(), fmt.Sprintf("spec.metadata of WorkloadGroup %s", group.NamespacedName)},
	} {
		if name := labelled.labels[LabelRevision]; name != "" {
			said = append(said, revisionSaid{name, fmt.Sprintf("label %s=%s of %s", LabelRevision, name, labelled.of)})
		}
	}
	if len(said) == 0 {
		said = append(said, revisionSaid{DefaultRevision, "default"})
	}
	return said
}

// resolved is the revision that a name stands for.
func (f Facts) resolved(name string) string {
	if target, ok := f.Tags[name]; ok {
		return target
	}
	return name
}

func (f Facts) conflictingRevisions(group Group, first, second revisionSaid) *Problem {
	stands := func(said revisionSaid) string {
		return fmt.Sprintf("%s, which stands for revision %q", said.by, f.resolved(said.name))
	}
	return &Problem{
		Reason:  ReasonRevisionConflict,
		Message: fmt.Sprintf("two labels say which Istio revision the machines of WorkloadGroup %s follow: %s, and %s", group.NamespacedName, stands(first), stands(second)),
		Next:    "remove one of them, or have both name the same revision",
	}
}

func (f Facts) unknownRevision(group Group, name, resolved string) *Problem {
	what := fmt.Sprintf("WorkloadGroup %s follows Istio revision %q", group.NamespacedName, name)
	if name != resolved {
		what = fmt.Sprintf("WorkloadGroup %s follows Istio tag %q, which stands for revision %q", group.NamespacedName, name, resolved)
	}
	known := slices.Sorted(maps.Keys(f.Revisions))
	return &Problem{
		Reason:  ReasonRevisionUnknown,
		Message: fmt.Sprintf("%s, and namespace %s has no such control plane (known revisions: %s)", what, f.IstioNamespace, listed(known)),
		Next:    fmt.Sprintf("set the label %s of the WorkloadGroup or its namespace to one of them, or install that revision", LabelRevision),
	}
}

// ProxyImage is the image that the group's machines run, put together as Istio's injector does (pkg/kube/inject: ProxyImage).
// typeOfMesh is the imageType of the effective proxy configuration.
func (r Revision) ProxyImage(group Group, typeOfMesh string) string {
	annotations := group.Spec.GetMetadata().GetAnnotations()
	if image := annotations[AnnotationProxyImage]; image != "" {
		return image
	}
	name := r.Injector.Image
	if name == "" {
		name = "proxyv2"
	}
	variant := typeOfMesh
	if variant == "" {
		variant = r.Injector.Variant
	}
	if override, ok := annotations[AnnotationProxyImageType]; ok {
		variant = override
	}
	return r.Injector.Hub + "/" + name + ":" + withVariant(r.Injector.Tag, variant)
}

// withVariant puts the image's variant at the end of a tag, in place of one that is there.
func withVariant(tag, variant string) string {
	if variant == "" {
		return tag
	}
	for _, known := range []string{"-distroless", "-debug"} {
		if bare, ok := strings.CutSuffix(tag, known); ok {
			tag = bare
			break
		}
	}
	if variant == "default" {
		return tag
	}
	return tag + "-" + variant
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
