package record

import (
	"context"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fresh reads from the cache, but not what this replica knows to be out of date there: what it has written since, and what it was in conflict with.
// A cache that lost its watch, as when the API server was away, has it back up to a minute later. Until then a state that was just written looks
// like the one before it, and the next one like none that has to be written.
type fresh struct {
	cached, live Reader

	mu     sync.Mutex
	floors map[string]floor
}

// floor is what an object's version is at least, or more than.
type floor struct {
	version string
	more    bool
}

var _ Reader = (*fresh)(nil)

// freshly makes options read by a fresh, which their writers tell what they write.
func freshly(options Options) Options {
	f := &fresh{cached: options.Cached, live: options.Live, floors: map[string]floor{}}
	options.Cached, options.Writer, options.Status = f, tellingWriter{options.Writer, f}, tellingStatus{options.Status, f}
	return options
}

func (f *fresh) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := f.cached.Get(ctx, key, object, options...); err != nil {
		return err
	}
	if f.outdated(object) {
		return f.live.Get(ctx, key, object, options...)
	}
	return nil
}

// outdated reports whether the cache's copy is, and forgets the floor when it is not any more.
func (f *fresh) outdated(object client.Object) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	known, ok := f.floors[reference(object)]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(object.GetResourceVersion(), known.version)
	if err == nil && (order < 0 || order == 0 && known.more) {
		return true
	}
	delete(f.floors, reference(object))
	return false
}

// told notes how a write of an object ended, which was of a version before.
func (f *fresh) told(object client.Object, before string, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		f.floors[reference(object)] = floor{version: object.GetResourceVersion()}
	case apierrors.IsConflict(err):
		f.floors[reference(object)] = floor{version: before, more: true}
	case apierrors.IsNotFound(err):
		delete(f.floors, reference(object))
	}
	return err
}

func reference(object client.Object) string {
	return fmt.Sprintf("%T %s", object, client.ObjectKeyFromObject(object))
}

// tellingWriter tells a fresh what it writes.
type tellingWriter struct {
	Writer
	fresh *fresh
}

func (w tellingWriter) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	return w.fresh.told(object, "", w.Writer.Create(ctx, object, options...))
}

func (w tellingWriter) Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error {
	before := object.GetResourceVersion()
	return w.fresh.told(object, before, w.Writer.Update(ctx, object, options...))
}

func (w tellingWriter) Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error {
	err := w.Writer.Delete(ctx, object, options...)
	w.fresh.mu.Lock()
	defer w.fresh.mu.Unlock()
	delete(w.fresh.floors, reference(object))
	return err
}

// tellingStatus is tellingWriter for the status.
type tellingStatus struct {
	StatusWriter
	fresh *fresh
}

func (s tellingStatus) Update(ctx context.Context, object client.Object, options ...client.SubResourceUpdateOption) error {
	before := object.GetResourceVersion()
	return s.fresh.told(object, before, s.StatusWriter.Update(ctx, object, options...))
}
