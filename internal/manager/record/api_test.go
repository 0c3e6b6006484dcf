package record_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/record"
)

var (
	_ record.Reader       = (*fakeAPI)(nil)
	_ record.Writer       = (*fakeAPI)(nil)
	_ record.StatusWriter = fakeStatus{}
	_ record.Events       = (*fakeAPI)(nil)
	_ record.IstioTokens  = (*fakeAPI)(nil)
	_ record.StatusWriter = client.SubResourceWriter(nil)
	_ record.Writer       = client.Writer(nil)
)

// fakeAPI keeps objects as an API server does: copies in and out, optimistic concurrency, status apart.
type fakeAPI struct {
	mu      sync.Mutex
	version int
	objects map[string]client.Object
	// writes counts what changed an object.
	writes int
	events []string
	voided []string
	// slow holds creations up until it is closed; nil: it does not.
	slow chan struct{}
	// statusTakes is how long it takes to write a status.
	statusTakes time.Duration
	// refused are the kinds whose status cannot be written.
	refused map[string]bool
}

func newFakeAPI() *fakeAPI { return &fakeAPI{objects: map[string]client.Object{}} }

func id(object client.Object, key client.ObjectKey) string {
	return reflect.TypeOf(object).Elem().Name() + " " + key.String()
}

func (f *fakeAPI) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	object, ok := f.objects[id(into, key)]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
	}
	assign(into, object)
	return nil
}

// machines are all Machines.
func (f *fakeAPI) machines() []v1alpha1.Machine {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []v1alpha1.Machine
	for _, object := range f.objects {
		if machine, ok := object.(*v1alpha1.Machine); ok {
			list = append(list, *machine.DeepCopy())
		}
	}
	return list
}

func (f *fakeAPI) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	if f.slow != nil {
		<-f.slow
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := id(object, client.ObjectKeyFromObject(object))
	if _, ok := f.objects[name]; ok {
		return apierrors.NewAlreadyExists(schema.GroupResource{}, object.GetName())
	}
	if object.GetUID() == "" {
		object.SetUID(types.UID("uid of " + name))
	}
	f.store(name, object, func(fresh client.Object) {
		if entry, ok := fresh.(*clientnetworking.WorkloadEntry); ok {
			entry.Status.Reset()
		}
	})
	return nil
}

func (f *fakeAPI) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	return f.update(object, func(from, into client.Object) {
		switch o := into.(type) {
		case *clientnetworking.WorkloadEntry:
			from.(*clientnetworking.WorkloadEntry).Spec.DeepCopyInto(&o.Spec)
			o.ObjectMeta = *from.(*clientnetworking.WorkloadEntry).ObjectMeta.DeepCopy()
		case *v1alpha1.Machine:
			o.Spec = from.(*v1alpha1.Machine).Spec
			o.ObjectMeta = *from.(*v1alpha1.Machine).ObjectMeta.DeepCopy()
		}
	})
}

func (f *fakeAPI) Delete(_ context.Context, object client.Object, options ...client.DeleteOption) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := id(object, client.ObjectKeyFromObject(object))
	existing, ok := f.objects[name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{}, object.GetName())
	}
	applied := (&client.DeleteOptions{}).ApplyOptions(options)
	if p := applied.Preconditions; p != nil && p.UID != nil && *p.UID != existing.GetUID() {
		return apierrors.NewConflict(schema.GroupResource{}, object.GetName(), errors.New("another UID"))
	}
	f.writes++
	if len(existing.GetFinalizers()) > 0 {
		now := meta.Now()
		existing.SetDeletionTimestamp(&now)
		return nil
	}
	delete(f.objects, name)
	return nil
}

// fakeStatus is the status of fakeAPI's objects.
type fakeStatus struct{ *fakeAPI }

func (f fakeStatus) Update(_ context.Context, object client.Object, _ ...client.SubResourceUpdateOption) error {
	f.mu.Lock()
	refused, takes := f.refused[reflect.TypeOf(object).Elem().Name()], f.statusTakes
	f.mu.Unlock()
	time.Sleep(takes)
	if refused {
		return apierrors.NewInternalError(errors.New("etcd has no leader"))
	}
	return f.update(object, func(from, into client.Object) {
		switch o := into.(type) {
		case *clientnetworking.WorkloadEntry:
			from.(*clientnetworking.WorkloadEntry).Status.DeepCopyInto(&o.Status)
		case *v1alpha1.Machine:
			o.Status = *from.(*v1alpha1.Machine).Status.DeepCopy()
		}
	})
}

func (f *fakeAPI) update(object client.Object, merge func(from, into client.Object)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := id(object, client.ObjectKeyFromObject(object))
	existing, ok := f.objects[name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{}, object.GetName())
	}
	if object.GetResourceVersion() != existing.GetResourceVersion() {
		return apierrors.NewConflict(schema.GroupResource{}, object.GetName(), errors.New("changed"))
	}
	changed := existing.DeepCopyObject().(client.Object)
	merge(object, changed)
	f.store(name, changed, func(client.Object) {})
	assign(object, f.objects[name])
	if changed.GetDeletionTimestamp() != nil && len(changed.GetFinalizers()) == 0 {
		delete(f.objects, name)
	}
	return nil
}

// change is what somebody else does to an object.
func (f *fakeAPI) change(object client.Object, apply func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := id(object, client.ObjectKeyFromObject(object))
	assign(object, f.objects[name])
	apply()
	f.store(name, object, func(client.Object) {})
	f.writes--
}

func (f *fakeAPI) store(name string, object client.Object, prepare func(client.Object)) {
	f.version++
	f.writes++
	object.SetResourceVersion(strconv.Itoa(f.version))
	copied := object.DeepCopyObject().(client.Object)
	prepare(copied)
	f.objects[name] = copied
}

func (f *fakeAPI) Eventf(_, _ runtime.Object, kind, reason, _, note string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, fmt.Sprintf("%s %s: %s", kind, reason, fmt.Sprintf(note, args...)))
}

func (f *fakeAPI) Revoke(_ context.Context, machine types.NamespacedName) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.voided = append(f.voided, machine.String())
	return nil
}

// pace has each write of a status take so long.
func (f *fakeAPI) pace(takes time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statusTakes = takes
}

// refuse has writes of a kind's status fail, or no kind's.
func (f *fakeAPI) refuse(kinds ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = map[string]bool{}
	for _, kind := range kinds {
		f.refused[kind] = true
	}
}

// takeWrites returns the number of writes since the last call.
func (f *fakeAPI) takeWrites() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.writes = 0 }()
	return f.writes
}

// takeEvents returns the events since the last call.
func (f *fakeAPI) takeEvents() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.events = nil }()
	return strings.Join(f.events, "\n")
}

// String shows each machine's conditions that are not True, its session, and each entry's health.
func (f *fakeAPI) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for name, object := range f.objects {
		switch o := object.(type) {
		case *v1alpha1.Machine:
			line := name
			if o.Status.Connection != nil {
				line += " on " + o.Status.Connection.Manager + " by " + o.Status.Connection.Session
			}
			for _, c := range o.Status.Conditions {
				if c.Status != "True" {
					line += fmt.Sprintf(" %s=%s(%s)", c.Type, c.Status, c.Reason)
				}
			}
			lines = append(lines, line)
		case *clientnetworking.WorkloadEntry:
			line := name + " " + o.Spec.Address
			for _, c := range o.Status.Conditions {
				line += " " + c.Type + "=" + c.Status
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func assign(into, from client.Object) {
	reflect.ValueOf(into).Elem().Set(reflect.ValueOf(from.DeepCopyObject()).Elem())
}
