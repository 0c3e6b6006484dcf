package ctl

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/hawser-io/hawser/internal/ctl/problem"
)

// pause between two watches, of which API servers end each after a while.
const pause = time.Second

// feed shows things as they are and then as they change. A watch that the API server ends is taken up again, and nothing is shown twice.
type feed[T any] struct {
	// list returns all things and the version of the list.
	list func(context.Context) ([]T, string, error)
	// watch reports changes since a version.
	watch func(context.Context, string) (watch.Interface, error)
	// read returns the things that a change is about.
	read func(runtime.Object) ([]T, error)
	// key names a thing and its version.
	key func(T) (string, string)
	// show is called for the first list even if that is empty.
	show func(things []T, deleted bool) error
}

// follow runs until ctx ends, and returns nil then.
func (f feed[T]) follow(ctx context.Context) error {
	shown := map[string]string{}
	for first := true; ctx.Err() == nil; first = false {
		things, version, err := f.list(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		if fresh := f.fresh(shown, things); first || len(fresh) > 0 {
			if err := f.show(fresh, false); err != nil {
				return err
			}
		}
		if err := f.changes(ctx, shown, version); err != nil {
			return ended(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil
}

// changes shows what one watch reports; nil when it ended for a reason that a new list mends.
func (f feed[T]) changes(ctx context.Context, shown map[string]string, version string) error {
	w, err := f.watch(ctx, version)
	if err != nil {
		return err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if event.Type == watch.Error {
			err := apierrors.FromObject(event.Object)
			if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) || apierrors.IsTimeout(err) {
				return nil
			}
			return problem.New("the same command again", "the cluster ended the watch: %v", err)
		}
		if event.Type == watch.Bookmark {
			continue
		}
		things, err := f.read(event.Object)
		if err != nil {
			return err
		}
		deleted := event.Type == watch.Deleted
		if fresh := f.fresh(shown, things); len(fresh) > 0 {
			if err := f.show(fresh, deleted); err != nil {
				return err
			}
		}
		if deleted {
			for _, thing := range things {
				key, _ := f.key(thing)
				delete(shown, key)
			}
		}
	}
	return nil
}

// fresh returns the things that were not shown in this version, and notes them.
func (f feed[T]) fresh(shown map[string]string, things []T) []T {
	var fresh []T
	for _, thing := range things {
		key, version := f.key(thing)
		if known, ok := shown[key]; !ok || known != version {
			fresh = append(fresh, thing)
		}
		shown[key] = version
	}
	return fresh
}

// ended: an interrupted command is no failed one.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
