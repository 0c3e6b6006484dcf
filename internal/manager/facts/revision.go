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

// RevisionOf returns the revision that a group's machines follow. The first of these counts: label istio.io/rev of the group,
// of its machines' metadata, istio-injection=enabled or istio.io/rev of the namespace, the default revision. A name is looked up
// among the tags first, as a tag "default" moves what had no name.
func (f Facts) RevisionOf(group Group) (Revision, *Problem) {
	name := f.revisionLabel(group)
	resolved := name
	if target, ok := f.Tags[name]; ok {
		resolved = target
	}
	revision, ok := f.Revisions[resolved]
	if !ok {
		return Revision{}, f.unknownRevision(group, name, resolved)
	}
	if revision.Problem != nil {
		return Revision{}, revision.Problem
	}
	return revision, nil
}

func (f Facts) revisionLabel(group Group) string {
	namespace := f.Namespaces[group.Namespace].Labels
	for _, labels := range []map[string]string{group.Labels, group.Spec.GetMetadata().GetLabels()} {
		if name := labels[LabelRevision]; name != "" {
			return name
		}
	}
	if name := namespace[LabelRevision]; name != "" && namespace[LabelInjection] != "enabled" {
		return name
	}
	return DefaultRevision
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
