package manager

import (
	"context"
	"maps"

	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	discovery "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/admission"
	"github.com/hawser-io/hawser/internal/manager/caller"
	"github.com/hawser-io/hawser/internal/manager/confine"
	"github.com/hawser-io/hawser/internal/manager/enroll"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/istiotoken"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

// objects are the Machines and JoinTokens of the API server itself, for decisions that must not rest on a cache.
type objects struct {
	reader client.Reader
	writer client.Client
}

var (
	_ enroll.Tokens       = objects{}
	_ enroll.Machines     = objects{}
	_ enroll.Groups       = objects{}
	_ admission.Machines  = objects{}
	_ caller.Machines     = objects{}
	_ istiotoken.Machines = objects{}
)

func (o objects) Token(ctx context.Context, key types.NamespacedName) (*v1alpha1.JoinToken, error) {
	token := &v1alpha1.JoinToken{}
	return token, o.reader.Get(ctx, key, token)
}

func (o objects) UpdateTokenStatus(ctx context.Context, token *v1alpha1.JoinToken) error {
	return o.writer.Status().Update(ctx, token)
}

func (o objects) GetMachine(ctx context.Context, key types.NamespacedName) (*v1alpha1.Machine, error) {
	machine := &v1alpha1.Machine{}
	return machine, o.reader.Get(ctx, key, machine)
}

func (o objects) CreateMachine(ctx context.Context, machine *v1alpha1.Machine) error {
	return o.writer.Create(ctx, machine)
}

func (o objects) UpdateMachine(ctx context.Context, machine *v1alpha1.Machine) error {
	return o.writer.Update(ctx, machine)
}

func (o objects) Machine(ctx context.Context, key types.NamespacedName) (facts.Machine, error) {
	machine, err := o.GetMachine(ctx, key)
	if err != nil {
		return facts.Machine{}, err
	}
	return watch.MachineOf(machine), nil
}

// GroupExists reports whether there is a WorkloadGroup that is not being deleted.
func (o objects) GroupExists(ctx context.Context, key types.NamespacedName) (bool, error) {
	group := &istionetworking.WorkloadGroup{}
	err := o.reader.Get(ctx, key, group)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && group.DeletionTimestamp == nil, err
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{watch.AddToScheme, confine.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// cacheOptions are what all parts read of the cluster, and no more: Hawser's own entries, and the replicas' EndpointSlices.
func cacheOptions(options Options, facts watch.Options) (cache.Options, error) {
	all, err := watch.CacheOptions(facts)
	if err != nil {
		return cache.Options{}, err
	}
	maps.Copy(all.ByObject, confine.CacheByObject())
	all.ByObject[&istionetworking.WorkloadEntry{}] = cache.ByObject{
		Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}),
	}
	all.ByObject[&discovery.EndpointSlice{}] = cache.ByObject{Namespaces: map[string]cache.Config{
		options.Namespace: {LabelSelector: labels.SelectorFromSet(labels.Set{discovery.LabelServiceName: options.Service})},
	}}
	return all, nil
}

// replicas are the names of the Pods that the Service's endpoints lead to, and whether each is ready; and this one, which may not be among them
// yet. One that is about to end is not among them any more.
func replicas(ctx context.Context, reader client.Reader, options Options) (map[string]bool, error) {
	var slices discovery.EndpointSliceList
	err := reader.List(ctx, &slices, client.InNamespace(options.Namespace), client.MatchingLabels{discovery.LabelServiceName: options.Service})
	if err != nil {
		return nil, err
	}
	names := map[string]bool{options.Pod: true}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			target := endpoint.TargetRef
			if target == nil || target.Kind != "Pod" || ptr.Deref(endpoint.Conditions.Terminating, false) {
				continue
			}
			// An unknown readiness counts as ready (k8s.io/api/discovery/v1: EndpointConditions).
			names[target.Name] = names[target.Name] || ptr.Deref(endpoint.Conditions.Ready, true)
		}
	}
	return names, nil
}
