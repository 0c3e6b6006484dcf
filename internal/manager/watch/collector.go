package watch

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	admission "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"google.golang.org/protobuf/proto"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// collector gathers facts from objects, one at a time, and makes snapshots of them. It is not safe for use from several goroutines, and
// keeps the objects that it is given: they must not be changed.
type collector struct {
	istioNamespace, clusterDomain string
	gatewaySelector               labels.Selector

	namespaces shared[string, facts.Namespace]
	groups     shared[types.NamespacedName, facts.Group]
	policies   shared[string, []*v1alpha1.MachinePolicy]
	machines   shared[types.NamespacedName, facts.Machine]
	roots      shared[string, string]
	proxies    shared[facts.ProxyKey, facts.ProxyState]

	control  controlPlanes
	services gateways
}

func newCollector(options Options) (*collector, error) {
	selector, err := labels.Parse(options.GatewaySelector)
	if err != nil {
		return nil, err
	}
	return &collector{istioNamespace: options.IstioNamespace, clusterDomain: options.ClusterDomain, gatewaySelector: selector}, nil
}

// Collect makes facts of objects, as if a cluster had these and no others. It looks no host names up and pulls no images.
func Collect(options Options, objects ...client.Object) (facts.Facts, error) {
	c, err := newCollector(options.withDefaults())
	if err != nil {
		return facts.Facts{}, err
	}
	for _, object := range objects {
		c.set(object)
	}
	return c.snapshot(), nil
}

// set takes an object in, or its newer version; it reports whether a fact changed.
func (c *collector) set(object client.Object) bool {
	switch o := object.(type) {
	case *core.Namespace:
		return replace(&c.namespaces, o.Name, facts.Namespace{Name: o.Name, Labels: o.Labels})
	case *networking.WorkloadGroup:
		return c.setGroup(o)
	case *v1alpha1.MachinePolicy:
		return c.setPolicy(o)
	case *v1alpha1.Machine:
		return replace(&c.machines, client.ObjectKeyFromObject(o), MachineOf(o))
	case *core.ConfigMap:
		changed := c.control.setConfigMap(c.istioNamespace, o)
		if o.Name == rootConfigMap {
			changed = replace(&c.roots, o.Namespace, o.Data[rootKey]) || changed
		}
		return changed
	case *admission.MutatingWebhookConfiguration:
		return c.control.setTag(object)
	case *core.Service:
		changed := c.services.set(c.gatewaySelector, o)
		if o.Namespace == c.istioNamespace {
			changed = c.control.setTag(object) || changed
		}
		return changed
	}
	return false
}

// remove forgets an object; it reports whether a fact changed.
func (c *collector) remove(object client.Object) bool {
	key := client.ObjectKeyFromObject(object)
	switch o := object.(type) {
	case *core.Namespace:
		return c.namespaces.remove(o.Name)
	case *networking.WorkloadGroup:
		return c.groups.remove(key)
	case *v1alpha1.MachinePolicy:
		return c.removePolicy(o)
	case *v1alpha1.Machine:
		return c.machines.remove(key)
	case *core.ConfigMap:
		changed := c.control.removeConfigMap(c.istioNamespace, o)
		if o.Name == rootConfigMap {
			changed = c.roots.remove(o.Namespace) || changed
		}
		return changed
	case *admission.MutatingWebhookConfiguration:
		return c.control.removeTag(object)
	case *core.Service:
		removed := c.services.remove(key)
		return c.control.removeTag(object) || removed
	}
	return false
}

func (c *collector) setProxy(key facts.ProxyKey, state facts.ProxyState) bool {
	return replace(&c.proxies, key, state)
}

// snapshot is cheap: maps that did not change since the last one are shared with it.
func (c *collector) snapshot() facts.Facts {
	return facts.Facts{
		IstioNamespace:   c.istioNamespace,
		ClusterDomain:    c.clusterDomain,
		Namespaces:       c.namespaces.view(),
		Groups:           c.groups.view(),
		Policies:         c.policies.view(),
		Revisions:        c.control.revisions(),
		Tags:             c.control.tags(),
		RootCertificates: c.roots.view(),
		Gateways:         c.services.list(),
		Proxies:          c.proxies.view(),
		Machines:         c.machines.view(),
	}
}

func (c *collector) setGroup(o *networking.WorkloadGroup) bool {
	key := client.ObjectKeyFromObject(o)
	group := facts.Group{NamespacedName: key, UID: o.UID, Labels: o.Labels, Annotations: o.Annotations, Spec: &o.Spec}
	old, ok := c.groups.entries[key]
	same := ok && old.UID == group.UID && maps.Equal(old.Labels, group.Labels) && maps.Equal(old.Annotations, group.Annotations) &&
		proto.Equal(old.Spec, group.Spec)
	if !same {
		c.groups.set(key, group)
	}
	return !same
}

func (c *collector) setPolicy(o *v1alpha1.MachinePolicy) bool {
	old := c.policies.entries[o.Namespace]
	at, found := slices.BinarySearchFunc(old, o.Name, comparePolicy)
	if found && reflect.DeepEqual(old[at].Spec, o.Spec) {
		return false
	}
	list := slices.Clone(old)
	if found {
		list[at] = o
	} else {
		list = slices.Insert(list, at, o)
	}
	c.policies.set(o.Namespace, list)
	return true
}

func (c *collector) removePolicy(o *v1alpha1.MachinePolicy) bool {
	old := c.policies.entries[o.Namespace]
	at, found := slices.BinarySearchFunc(old, o.Name, comparePolicy)
	if !found {
		return false
	}
	if len(old) == 1 {
		return c.policies.remove(o.Namespace)
	}
	c.policies.set(o.Namespace, slices.Delete(slices.Clone(old), at, at+1))
	return true
}

func comparePolicy(policy *v1alpha1.MachinePolicy, name string) int {
	return strings.Compare(policy.Name, name)
}

// MachineOf is what the facts have of a Machine. What it leads to is shared with the object.
func MachineOf(o *v1alpha1.Machine) facts.Machine {
	return facts.Machine{
		NamespacedName: client.ObjectKeyFromObject(o),
		UID:            o.UID,
		Group:          o.Spec.Group,
		Architecture:   o.Status.Architecture,
		Addresses:      o.Status.Addresses,
		KeyFingerprint: o.Spec.KeyFingerprint,
		Revoked:        o.Spec.Revoked,
		Deleting:       o.DeletionTimestamp != nil,
		Returning:      o.Annotations[v1alpha1.AnnotationReturning] != "",
	}
}

// replace sets a value and reports whether it is another one than before.
func replace[K comparable, V any](s *shared[K, V], key K, value V) bool {
	if old, ok := s.entries[key]; ok && reflect.DeepEqual(old, value) {
		return false
	}
	s.set(key, value)
	return true
}
