package manager

import (
	"context"
	"fmt"

	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// listen has the recorder look at a machine when its objects change, whoever changed them, and returns a channel of capacity one that wakes
// the reaper when machines, replicas or namespaces come and go.
func (p *parts) listen(ctx context.Context) (<-chan struct{}, error) {
	wake := make(chan struct{}, 1)
	stir := func(client.Object) {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	look := func(object client.Object) { p.recorder.Look(client.ObjectKeyFromObject(object)) }
	both := func(object client.Object) { look(object); stir(object) }
	for object, handle := range map[client.Object]func(client.Object){
		&v1alpha1.Machine{}: both, &istionetworking.WorkloadEntry{}: look, &discovery.EndpointSlice{}: stir, &core.Namespace{}: stir,
	} {
		informer, err := p.manager.GetCache().GetInformer(ctx, object)
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(handler(handle)); err != nil {
			return nil, fmt.Errorf("watch %T: %w", object, err)
		}
	}
	return wake, nil
}

func handler(handle func(client.Object)) toolscache.ResourceEventHandlerFuncs {
	take := func(object any) {
		if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = unknown.Obj
		}
		if o, ok := object.(client.Object); ok {
			handle(o)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{AddFunc: take, UpdateFunc: func(_, object any) { take(object) }, DeleteFunc: take}
}

// listMachines returns the cache's own objects, which must not be changed.
func (p *parts) listMachines(ctx context.Context) ([]v1alpha1.Machine, error) {
	var list v1alpha1.MachineList
	err := p.manager.GetCache().List(ctx, &list, client.UnsafeDisableDeepCopy)
	return list.Items, err
}

func (p *parts) listReplicas(ctx context.Context) (map[string]bool, error) {
	return replicas(ctx, p.manager.GetCache(), p.Options)
}

// listEnding returns the names of the namespaces that are being deleted.
func (p *parts) listEnding(ctx context.Context) (map[string]bool, error) {
	var list core.NamespaceList
	if err := p.manager.GetCache().List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i := range list.Items {
		if list.Items[i].DeletionTimestamp != nil {
			names[list.Items[i].Name] = true
		}
	}
	return names, nil
}
