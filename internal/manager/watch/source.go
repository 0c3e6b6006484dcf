package watch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Source keeps a snapshot of the facts up to date. It needs no leader: every replica has its own.
type Source struct {
	cache   cache.Cache
	options Options
	// wake and stir have capacity one: something was collected that the snapshot does not show; stir is for machines alone.
	wake, stir chan struct{}
	synced     chan struct{}

	// mu guards what follows.
	mu        sync.Mutex
	collector *collector
	// dirty: the snapshot does not show all that was collected.
	dirty       bool
	snapshot    facts.Facts
	subscribers map[chan struct{}]struct{}
}

// NewSource makes a Source that reads from the cache, which must have been made with CacheOptions of the same options.
func NewSource(c cache.Cache, options Options) (*Source, error) {
	options = options.withDefaults()
	collector, err := newCollector(options)
	if err != nil {
		return nil, fmt.Errorf("gateway selector %q is no label selector: %w", options.GatewaySelector, err)
	}
	return &Source{
		cache:       c,
		options:     options,
		wake:        make(chan struct{}, 1),
		stir:        make(chan struct{}, 1),
		synced:      make(chan struct{}),
		collector:   collector,
		dirty:       true,
		subscribers: map[chan struct{}]struct{}{},
	}, nil
}

// Facts returns the newest snapshot; it is empty until Synced.
func (s *Source) Facts() facts.Facts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot
}

// Synced is closed when the first snapshot is there.
func (s *Source) Synced() <-chan struct{} { return s.synced }

// Changed returns a channel of capacity one that gets a value when there is a newer snapshot; changes in between are merged. Each
// call makes a channel of its own, which is given up when ctx ends. It never closes.
func (s *Source) Changed(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	s.mu.Lock()
	s.subscribers[changed] = struct{}{}
	s.mu.Unlock()
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		delete(s.subscribers, changed)
		s.mu.Unlock()
	})
	return changed
}

// NeedLeaderElection reports false: every replica watches.
func (s *Source) NeedLeaderElection() bool { return false }

// Start is Run, as controller-runtime's manager calls it.
func (s *Source) Start(ctx context.Context) error { return s.Run(ctx) }

// Run keeps the snapshot up to date until ctx ends. The cache must be running, or be started meanwhile.
func (s *Source) Run(ctx context.Context) error {
	if err := s.listen(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	fetcher := newFetcher(s.options, s.takeProxy, s.dropProxy)
	resolved := make(chan struct{}, 1)
	s.publish()
	close(s.synced)
	group.Go(func() error { return fetcher.run(ctx) })
	group.Go(func() error { return s.resolve(ctx, resolved) })
	group.Go(func() error {
		for {
			f := s.Facts()
			fetcher.want(wantedProxies(f))
			signal(resolved)
			if !s.settle(ctx) {
				return nil
			}
			s.publish()
		}
	})
	return group.Wait()
}

// listen registers with the informers and waits until each has told all that there is.
func (s *Source) listen(ctx context.Context) error {
	var registrations []toolscache.InformerSynced
	for _, kind := range kinds() {
		informer, err := s.cache.GetInformer(ctx, kind)
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
			AddFunc:    s.added,
			UpdateFunc: func(_, object any) { s.added(object) },
			DeleteFunc: s.deleted,
		})
		if err != nil {
			return fmt.Errorf("watch %T: %w", kind, err)
		}
		registrations = append(registrations, registration.HasSynced)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registrations...) {
		return fmt.Errorf("wait for the first lists of the cluster's objects: %w", context.Cause(ctx))
	}
	return nil
}

func (s *Source) added(object any) {
	if o, ok := object.(client.Object); ok {
		s.collect(s.channel(o), func(c *collector) bool { return c.set(o) })
	}
}

func (s *Source) deleted(object any) {
	// An informer that missed a deletion tells the last known state of the object.
	if unknown, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = unknown.Obj
	}
	if o, ok := object.(client.Object); ok {
		s.collect(s.channel(o), func(c *collector) bool { return c.remove(o) })
	}
}

// channel that tells of changes of an object.
func (s *Source) channel(object client.Object) chan struct{} {
	if _, ok := object.(*v1alpha1.Machine); ok {
		return s.stir
	}
	return s.wake
}

func (s *Source) takeProxy(key facts.ProxyKey, state facts.ProxyState) {
	if problem := state.Problem; problem != nil {
		s.options.Logger.Warn("proxy image is not available", "image", key.Image, "architecture", key.Architecture, "reason", problem.Reason, "error", problem)
	}
	s.collect(s.wake, func(c *collector) bool { return c.setProxy(key, state) })
}

func (s *Source) dropProxy(key facts.ProxyKey) {
	s.collect(s.wake, func(c *collector) bool { return c.proxies.remove(key) })
}

func (s *Source) collect(channel chan struct{}, change func(*collector) bool) {
	s.mu.Lock()
	changed := change(s.collector)
	s.dirty = s.dirty || changed
	s.mu.Unlock()
	if changed {
		signal(channel)
	}
}

// settle waits for a change and then a little longer, so that a burst makes one snapshot; false when ctx ends. A snapshot of other machines costs
// everybody who uses it as much as there are machines, and thousands come in minutes: so it waits the longer, unless there is another change.
func (s *Source) settle(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.wake:
		return pause(ctx, s.options.Settle)
	case <-s.stir:
	}
	timer := time.NewTimer(s.options.Settle + time.Duration(len(s.Facts().Machines))*settleEach)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-s.wake:
		return pause(ctx, s.options.Settle)
	}
}

// settleEach is what settling of machines takes longer for each of them: 0.2 s for 10,000. Who asks meanwhile for one that just came asks the API
// server (package caller).
const settleEach = 20 * time.Microsecond

// publish makes a snapshot if there is something new. A wake-up can come late, when an earlier snapshot has its change already.
func (s *Source) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty {
		return
	}
	s.dirty = false
	s.snapshot = s.collector.snapshot()
	for changed := range s.subscribers {
		signal(changed)
	}
}

// signal wakes who listens, unless a wake-up is waiting already.
func signal(channel chan struct{}) {
	select {
	case channel <- struct{}{}:
	default:
	}
}
