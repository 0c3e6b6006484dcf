package watch

import (
	"fmt"
	"strings"
	"unique"

	networking "istio.io/client-go/pkg/apis/networking/v1"
	admission "k8s.io/api/admissionregistration/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// kinds are what the Source watches.
func kinds() []client.Object {
	return []client.Object{
		&core.Namespace{},
		&core.ConfigMap{},
		&core.Service{},
		&admission.MutatingWebhookConfiguration{},
		&networking.WorkloadGroup{},
		&v1alpha1.MachinePolicy{},
		&v1alpha1.Machine{},
	}
}

// AddToScheme registers the kinds that the Source watches.
func AddToScheme(scheme *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{clientscheme.AddToScheme, networking.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	return nil
}

// CacheOptions restricts the informers to what the Source reads of kinds that others use too, and drops what it does not read before
// it is kept: in a large cluster most ConfigMaps, Services and namespaces are not Istio's. Whoever shares the cache sees the same
// restricted objects. WorkloadGroups, MachinePolicies and Machines are kept whole, but for managedFields.
//
// The rights that the informers need: ConfigMaps named istio-ca-root-cert in all namespaces and all of Istio's namespace, Services
// that the gateway selector selects in all namespaces and all of Istio's namespace; the others cluster-wide.
func CacheOptions(options Options) (cache.Options, error) {
	options = options.withDefaults()
	selector, err := labels.Parse(options.GatewaySelector)
	if err != nil {
		return cache.Options{}, fmt.Errorf("gateway selector %q is no label selector: %w", options.GatewaySelector, err)
	}
	tagged, err := labels.Parse(labelTag)
	if err != nil {
		return cache.Options{}, err
	}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&core.Namespace{}: {Transform: slim(func(o *core.Namespace) {
				o.Spec, o.Status = core.NamespaceSpec{}, core.NamespaceStatus{}
			})},
			&core.ConfigMap{}: {
				Namespaces: map[string]cache.Config{
					options.IstioNamespace: {},
					cache.AllNamespaces:    {FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, rootConfigMap)},
				},
				Transform: slim(slimConfigMap),
			},
			&core.Service{}: {
				Namespaces: map[string]cache.Config{
					options.IstioNamespace: {},
					cache.AllNamespaces:    {LabelSelector: selector},
				},
				Transform: slim(func(o *core.Service) {
					o.Spec = core.ServiceSpec{Ports: o.Spec.Ports, ExternalIPs: o.Spec.ExternalIPs}
				}),
			},
			&admission.MutatingWebhookConfiguration{}: {
				Label:     tagged,
				Transform: slim(func(o *admission.MutatingWebhookConfiguration) { o.Webhooks = nil }),
			},
		},
	}, nil
}

// slim makes a transformation of objects of one kind that drops annotations and managedFields too.
func slim[T any](drop func(*T)) func(any) (any, error) {
	return func(object any) (any, error) {
		if o, ok := object.(*T); ok {
			drop(o)
		}
		if accessor, err := meta.Accessor(object); err == nil {
			accessor.SetManagedFields(nil)
			accessor.SetAnnotations(nil)
		}
		return object, nil
	}
}

// slimConfigMap keeps the keys that are read. The roots of a mesh are the same text in each namespace: one copy is kept.
func slimConfigMap(o *core.ConfigMap) {
	o.BinaryData = nil
	kept := map[string]string{}
	for _, key := range []string{meshKey, injectorKey, rootKey} {
		if text, ok := o.Data[key]; ok && strings.HasPrefix(o.Name, meshConfigMap) {
			kept[key] = unique.Make(text).Value()
		}
	}
	o.Data = kept
}
