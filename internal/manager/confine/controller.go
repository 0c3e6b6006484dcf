package confine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"time"

	"google.golang.org/protobuf/proto"
	networking "istio.io/client-go/pkg/apis/networking/v1"
	security "istio.io/client-go/pkg/apis/security/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// retry is how long a failed write waits, unless something changes before.
const retry = 5 * time.Second

// Source gives the facts; *watch.Source is one.
type Source interface {
	Facts() facts.Facts
	Changed(ctx context.Context) <-chan struct{}
	Synced() <-chan struct{}
}

// Controller keeps the objects of all groups as Compute says. It runs on the leader alone.
type Controller struct {
	source Source
	cache  cache.Cache
	client client.Client
	logger *slog.Logger
}

// New makes a Controller. The cache must have been made with CacheByObject; the client's reads may come from it.
func New(source Source, c cache.Cache, writer client.Client, logger *slog.Logger) *Controller {
	return &Controller{source: source, cache: c, client: writer, logger: logger}
}

// AddToScheme registers the kinds that the Controller writes.
func AddToScheme(scheme *runtime.Scheme) error {
	return errors.Join(networking.AddToScheme(scheme), security.AddToScheme(scheme))
}

// CacheByObject restricts the informers to Hawser's own objects.
func CacheByObject() map[client.Object]cache.ByObject {
	own := cache.ByObject{Label: labels.SelectorFromSet(managed())}
	return map[client.Object]cache.ByObject{&networking.Sidecar{}: own, &security.AuthorizationPolicy{}: own}
}

// Run writes until ctx ends, and may be called again then. A failed write is logged and tried again.
func (c *Controller) Run(ctx context.Context) error {
	changed := c.source.Changed(ctx)
	drifted := make(chan struct{}, 1)
	if err := c.listen(ctx, drifted); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-c.source.Synced():
	}
	for {
		var again <-chan time.Time
		if err := c.reconcile(ctx); err != nil && ctx.Err() == nil {
			c.logger.Error("confinement of machines is not as it should be", "error", err)
			again = time.After(retry)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-drifted:
		case <-again:
		}
	}
}

// listen has drifted signalled when one of the objects changes, whoever changed it.
func (c *Controller) listen(ctx context.Context, drifted chan struct{}) error {
	signal := func(any) {
		select {
		case drifted <- struct{}{}:
		default:
		}
	}
	var registrations []toolscache.InformerSynced
	for _, kind := range []client.Object{&networking.Sidecar{}, &security.AuthorizationPolicy{}} {
		informer, err := c.cache.GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    signal,
			UpdateFunc: func(_, object any) { signal(object) },
			DeleteFunc: signal,
		})
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		context.AfterFunc(ctx, func() {
			// The informer outlives the election that this is for. One that cannot remove a handler any more has ended.
			_ = informer.RemoveEventHandler(registration)
		})
		registrations = append(registrations, registration.HasSynced)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registrations...) {
		return fmt.Errorf("wait for the first lists of Sidecars and AuthorizationPolicies: %w", context.Cause(ctx))
	}
	return nil
}

// reconcile makes the cluster have the objects of the groups that have machines and no others of ours.
func (c *Controller) reconcile(ctx context.Context) error {
	f := c.source.Facts()
	var sidecars networking.SidecarList
	var policies security.AuthorizationPolicyList
	if err := errors.Join(c.cache.List(ctx, &sidecars), c.cache.List(ctx, &policies)); err != nil {
		return fmt.Errorf("list the objects that are there: %w", err)
	}
	haveSidecar := map[types.NamespacedName]*networking.Sidecar{}
	for _, o := range sidecars.Items {
		if ours(o) {
			haveSidecar[client.ObjectKeyFromObject(o)] = o
		}
	}
	havePolicy := map[types.NamespacedName]*security.AuthorizationPolicy{}
	for _, o := range policies.Items {
		if ours(o) {
			havePolicy[client.ObjectKeyFromObject(o)] = o
		}
	}
	var errs []error
	for _, group := range confined(f) {
		sidecar, policy := Compute(f, group)
		key := client.ObjectKeyFromObject(sidecar)
		// The policy comes first: it is the one that keeps others out.
		if have, ok := havePolicy[key]; !ok || !proto.Equal(&have.Spec, &policy.Spec) || !sameMeta(have, policy) {
			errs = append(errs, c.apply(ctx, policy))
		}
		if have, ok := haveSidecar[key]; !ok || !proto.Equal(&have.Spec, &sidecar.Spec) || !sameMeta(have, sidecar) {
			errs = append(errs, c.apply(ctx, sidecar))
		}
		delete(havePolicy, key)
		delete(haveSidecar, key)
	}
	for _, o := range havePolicy {
		errs = append(errs, c.remove(ctx, o))
	}
	for _, o := range haveSidecar {
		errs = append(errs, c.remove(ctx, o))
	}
	return errors.Join(errs...)
}

// ours tells the objects of this package from others that carry Hawser's label.
func ours(o client.Object) bool {
	group := o.GetLabels()[v1alpha1.LabelGroup]
	return group != "" && o.GetName() == Name(group)
}

// confined are the groups that have machines.
func confined(f facts.Facts) map[types.NamespacedName]facts.Group {
	groups := map[types.NamespacedName]facts.Group{}
	for _, machine := range f.Machines {
		if group, ok := f.Groups[machine.GroupKey()]; ok {
			groups[machine.GroupKey()] = group
		}
	}
	return groups
}

func sameMeta(have, want client.Object) bool {
	labels := maps.Clone(have.GetLabels())
	maps.Copy(labels, want.GetLabels())
	return maps.Equal(labels, have.GetLabels()) && reflect.DeepEqual(have.GetOwnerReferences(), want.GetOwnerReferences())
}

func managed() map[string]string {
	return map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
}
