package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// things is a fake API server that holds names with versions. What was shown of them is kept as text.
type things struct {
	objects []metav1.PartialObjectMetadata
	watches chan *watch.FakeWatcher
	listErr error
	shown   strings.Builder
}

func newThings(names ...string) *things {
	t := &things{watches: make(chan *watch.FakeWatcher)}
	for _, name := range names {
		t.objects = append(t.objects, thing(name))
	}
	return t
}

// thing reads "name@version".
func thing(text string) metav1.PartialObjectMetadata {
	name, version, _ := strings.Cut(text, "@")
	return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, ResourceVersion: version}}
}

func (t *things) feed() feed[metav1.PartialObjectMetadata] {
	return feed[metav1.PartialObjectMetadata]{
		list: func(context.Context) ([]metav1.PartialObjectMetadata, string, error) {
			return t.objects, "1", t.listErr
		},
		watch: func(ctx context.Context, _ string) (watch.Interface, error) {
			w := watch.NewFake()
			context.AfterFunc(ctx, w.Stop)
			t.watches <- w
			return w, nil
		},
		read: func(object runtime.Object) ([]metav1.PartialObjectMetadata, error) {
			return []metav1.PartialObjectMetadata{*object.(*metav1.PartialObjectMetadata)}, nil
		},
		key: func(o metav1.PartialObjectMetadata) (string, string) { return o.Name, o.ResourceVersion },
		show: func(objects []metav1.PartialObjectMetadata, deleted bool) error {
			for _, o := range objects {
				fmt.Fprintf(&t.shown, "%s@%s", o.Name, o.ResourceVersion)
			}
			if deleted {
				t.shown.WriteString(" gone")
			}
			t.shown.WriteString("; ")
			return nil
		},
	}
}

func TestFeedShowsEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		server := newThings("a@1", "b@1")
		done := make(chan error)
		go func() { done <- server.feed().follow(ctx) }()

		w := <-server.watches
		changed, same, deleted := thing("a@2"), thing("a@2"), thing("b@3")
		w.Modify(&changed)
		w.Modify(&same)
		w.Delete(&deleted)
		// The API server ends the watch, as it does after some minutes; one thing has changed in between.
		server.objects = []metav1.PartialObjectMetadata{thing("a@2"), thing("c@4")}
		w.Stop()
		w = <-server.watches
		// The next one is too old to go on from.
		server.objects = append(server.objects, thing("b@5"))
		w.Error(&apierrors.NewResourceExpired("too old").ErrStatus)
		<-server.watches
		cancel()
		if err := <-done; err != nil {
			t.Errorf("follow: %v", err)
		}
		if got, want := server.shown.String(), "a@1b@1; a@2; b@3 gone; c@4; b@5; "; got != want {
			t.Errorf("shown %q, want %q", got, want)
		}
	})
}

func TestFeedShowsThatThereIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		server := newThings()
		done := make(chan error)
		go func() { done <- server.feed().follow(ctx) }()
		(<-server.watches).Stop()
		<-server.watches
		cancel()
		if err := <-done; err != nil || server.shown.String() != "; " {
			t.Errorf("follow: %v, shown %q; want to be told of an empty list once", err, server.shown.String())
		}
	})
}

func TestFeedEndsWithAnError(t *testing.T) {
	refused := newThings("a@1")
	refused.listErr = errors.New("refused")
	if err := refused.feed().follow(t.Context()); err == nil || err.Error() != "refused" {
		t.Errorf("got %v", err)
	}
	broken := newThings("a@1")
	done := make(chan error)
	go func() { done <- broken.feed().follow(t.Context()) }()
	w := <-broken.watches
	w.Error(&apierrors.NewForbidden(schema.GroupResource{Resource: "machines"}, "", errors.New("no")).ErrStatus)
	if err := <-done; err == nil || !strings.HasPrefix(err.Error(), "the cluster ended the watch: ") {
		t.Errorf("got %v", err)
	}
}
