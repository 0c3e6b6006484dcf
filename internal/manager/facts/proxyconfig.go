package facts

import (
	"fmt"
	"maps"

	"google.golang.org/protobuf/proto"
	mesh "istio.io/api/mesh/v1alpha1"
	"sigs.k8s.io/yaml"
)

// AnnotationProxyConfig holds proxy configuration as YAML, on a WorkloadGroup or in its machines' metadata.
const AnnotationProxyConfig = "proxy.istio.io/config"

// ProxyConfig is the proxy configuration of the group's machines: the revision's, overridden by the group's annotation, overridden by the
// one in the group's machines' metadata (istioctl/pkg/workload/workload.go, createMeshConfig). An annotation replaces whole fields,
// except proxyMetadata, which is merged by key. The result is the caller's own.
func (r Revision) ProxyConfig(group Group) (*mesh.ProxyConfig, *Problem) {
	config := &mesh.ProxyConfig{}
	if base := r.Mesh.GetDefaultConfig(); base != nil {
		config = proto.Clone(base).(*mesh.ProxyConfig)
	}
	for _, from := range []struct {
		where       string
		annotations map[string]string
	}{
		{"metadata.annotations", group.Annotations},
		{"spec.metadata.annotations", group.Spec.GetMetadata().GetAnnotations()},
	} {
		text, ok := from.annotations[AnnotationProxyConfig]
		if !ok {
			continue
		}
		if err := overlay(config, text); err != nil {
			return nil, &Problem{
				Reason:  ReasonProxyConfigInvalid,
				Message: fmt.Sprintf("WorkloadGroup %s: annotation %s in %s is no proxy configuration: %v", group.NamespacedName, AnnotationProxyConfig, from.where, err),
				Next:    "correct the annotation; its fields are those of Istio's ProxyConfig",
			}
		}
	}
	if config.ProxyMetadata == nil {
		config.ProxyMetadata = map[string]string{}
	}
	return config, nil
}

func overlay(config *mesh.ProxyConfig, text string) error {
	json, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	metadata := maps.Clone(config.ProxyMetadata)
	// Istio's generated decoder sets the fields that the text has and leaves the others.
	if err := config.UnmarshalJSON(json); err != nil {
		return err
	}
	if metadata != nil {
		maps.Copy(metadata, config.ProxyMetadata)
		config.ProxyMetadata = metadata
	}
	return nil
}

// ProxyImageOf is the image that the group's machines run.
func (f Facts) ProxyImageOf(group Group) (string, *Problem) {
	revision, problem := f.RevisionOf(group)
	if problem != nil {
		return "", problem
	}
	config, problem := revision.ProxyConfig(group)
	if problem != nil {
		return "", problem
	}
	return revision.ProxyImage(group, config.GetImage().GetImageType()), nil
}
