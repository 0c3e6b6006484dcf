package watch

import (
	"fmt"
	"strings"

	mesh "istio.io/api/mesh/v1alpha1"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// ConfigMaps of Istio (istio.io/istio, manifests/charts/istio-control/istio-discovery/templates, pkg/config/constants).
const (
	meshConfigMap     = "istio"
	meshKey           = "mesh"
	injectorConfigMap = "istio-sidecar-injector"
	injectorKey       = "values"
	rootConfigMap     = "istio-ca-root-cert"
	rootKey           = "root-cert.pem"
)

// labelTag marks the webhook configurations and Services that stand for a revision tag (istio.io/istio, pkg/revisions/tag_watcher.go).
const labelTag = "istio.io/tag"

// controlPlanes are the revisions of Istio and their tags, made of ConfigMaps, webhook configurations and Services.
type controlPlanes struct {
	meshes    map[string]decoded[*mesh.MeshConfig]
	injectors map[string]decoded[facts.Injector]
	// webhookTags and serviceTags: object's name → tag → revision. A Service wins over a webhook configuration.
	webhookTags map[string]tag
	serviceTags map[string]tag

	joined map[string]facts.Revision
	merged map[string]string
}

// decoded is the content of a ConfigMap, or why it has none; text tells whether it changed.
type decoded[T any] struct {
	text  string
	value T
	err   error
}

type tag struct{ name, revision string }

func (p *controlPlanes) setConfigMap(namespace string, o *core.ConfigMap) bool {
	return p.takeConfigMap(namespace, o, o.Data)
}

func (p *controlPlanes) removeConfigMap(namespace string, o *core.ConfigMap) bool {
	return p.takeConfigMap(namespace, o, nil)
}

// takeConfigMap has a revision's configuration be what the data says; without its key there is none. Other ConfigMaps begin with "istio-"
// too: only a revision's have the key.
func (p *controlPlanes) takeConfigMap(namespace string, o *core.ConfigMap, data map[string]string) bool {
	if o.Namespace != namespace {
		return false
	}
	changed := false
	if revision, ok := revisionOf(o.Name, injectorConfigMap); ok {
		changed = take(&p.injectors, revision, data, injectorKey, decodeInjector)
	} else if revision, ok := revisionOf(o.Name, meshConfigMap); ok {
		changed = take(&p.meshes, revision, data, meshKey, decodeMesh)
	}
	if changed {
		p.joined = nil
	}
	return changed
}

func (p *controlPlanes) setTag(o client.Object) bool {
	t := tag{name: o.GetLabels()[labelTag], revision: o.GetLabels()[facts.LabelRevision]}
	if t.name == "" || t.revision == "" {
		return p.removeTag(o)
	}
	tags := p.tagsOf(o)
	if (*tags)[o.GetName()] == t {
		return false
	}
	if *tags == nil {
		*tags = map[string]tag{}
	}
	(*tags)[o.GetName()] = t
	p.merged = nil
	return true
}

func (p *controlPlanes) removeTag(o client.Object) bool {
	tags := p.tagsOf(o)
	_, known := (*tags)[o.GetName()]
	if known {
		delete(*tags, o.GetName())
		p.merged = nil
	}
	return known
}

func (p *controlPlanes) tagsOf(o client.Object) *map[string]tag {
	if _, ok := o.(*core.Service); ok {
		return &p.serviceTags
	}
	return &p.webhookTags
}

// revisions joins the two ConfigMaps of each revision.
func (p *controlPlanes) revisions() map[string]facts.Revision {
	if p.joined != nil {
		return p.joined
	}
	p.joined = map[string]facts.Revision{}
	for name, config := range p.meshes {
		injector, ok := p.injectors[name]
		revision := facts.Revision{Name: name, Mesh: config.value, Injector: injector.value}
		switch {
		case config.err != nil:
			revision.Problem = invalid(name, meshConfigMap, fmt.Sprintf("key %q: %v", meshKey, config.err))
		case !ok:
			revision.Problem = invalid(name, injectorConfigMap, "is missing, so that the proxy's image is unknown")
		case injector.err != nil:
			revision.Problem = invalid(name, injectorConfigMap, fmt.Sprintf("key %q: %v", injectorKey, injector.err))
		}
		p.joined[name] = revision
	}
	return p.joined
}

func (p *controlPlanes) tags() map[string]string {
	if p.merged != nil {
		return p.merged
	}
	p.merged = map[string]string{}
	for _, tags := range []map[string]tag{p.webhookTags, p.serviceTags} {
		for _, name := range sortedKeys(tags) {
			p.merged[tags[name].name] = tags[name].revision
		}
	}
	return p.merged
}

func invalid(revision, configMap, what string) *facts.Problem {
	if revision != facts.DefaultRevision {
		configMap += "-" + revision
	}
	return &facts.Problem{
		Reason:  facts.ReasonRevisionInvalid,
		Message: fmt.Sprintf("Istio revision %q: ConfigMap %s %s", revision, configMap, what),
		Next:    "repair the installation of that revision (istioctl analyze, or helm upgrade istiod)",
	}
}

// revisionOf takes the revision out of a ConfigMap's name.
func revisionOf(name, base string) (string, bool) {
	if name == base {
		return facts.DefaultRevision, true
	}
	return strings.CutPrefix(name, base+"-")
}

func take[T any](all *map[string]decoded[T], revision string, data map[string]string, key string, decode func(string) (T, error)) bool {
	old, known := (*all)[revision]
	text, ok := data[key]
	switch {
	case !ok:
		delete(*all, revision)
		return known
	case known && old.text == text:
		return false
	case *all == nil:
		*all = map[string]decoded[T]{}
	}
	value, err := decode(text)
	(*all)[revision] = decoded[T]{text: text, value: value, err: err}
	return true
}

// decodeMesh reads what istiod reads; fields that this version of Istio's API does not know are left out.
func decodeMesh(text string) (*mesh.MeshConfig, error) {
	config := &mesh.MeshConfig{}
	json, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return nil, err
	}
	if string(json) == "null" {
		return config, nil
	}
	return config, config.UnmarshalJSON(json)
}

func decodeInjector(text string) (facts.Injector, error) {
	var values struct {
		Global struct {
			Hub          string `json:"hub"`
			Tag          any    `json:"tag"`
			Variant      string `json:"variant"`
			Network      string `json:"network"`
			MultiCluster struct {
				ClusterName string `json:"clusterName"`
			} `json:"multiCluster"`
			Proxy struct {
				Image string `json:"image"`
			} `json:"proxy"`
		} `json:"global"`
	}
	if err := yaml.Unmarshal([]byte(text), &values); err != nil {
		return facts.Injector{}, err
	}
	injector := facts.Injector{
		Hub:         values.Global.Hub,
		Image:       values.Global.Proxy.Image,
		Variant:     values.Global.Variant,
		ClusterName: values.Global.MultiCluster.ClusterName,
		Network:     values.Global.Network,
	}
	// Helm writes a tag such as 1.31 as a number.
	if values.Global.Tag != nil {
		injector.Tag = fmt.Sprint(values.Global.Tag)
	}
	if injector.Hub == "" || injector.Tag == "" {
		return injector, fmt.Errorf("global.hub and global.tag are not both set")
	}
	return injector, nil
}
