package record_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// group makes the group of the facts an object of the API server, both with a UID.
func (w *world) group(inFacts, inAPI types.UID) *clientnetworking.WorkloadGroup {
	w.Helper()
	key := types.NamespacedName{Namespace: "shop", Name: "ratings"}
	group := w.facts.Groups[key]
	group.UID = inFacts
	w.facts.Groups[key] = group
	object := &clientnetworking.WorkloadGroup{ObjectMeta: meta.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: inAPI}}
	if inAPI == "" {
		return object
	}
	if err := w.api.Create(w.Context(), object); err != nil {
		w.Fatal(err)
	}
	w.api.takeWrites()
	return object
}

// ties of the machine, as "finalizers; owners".
func (w *world) ties() string {
	w.Helper()
	machine := w.object()
	var owners []string
	for _, o := range machine.OwnerReferences {
		owners = append(owners, fmt.Sprintf("%s %s %s %s", o.APIVersion, o.Kind, o.Name, o.UID))
	}
	return strings.Join(machine.Finalizers, ",") + "; " + strings.Join(owners, ",")
}

func TestTie(t *testing.T) {
	const owned = "; networking.istio.io/v1 WorkloadGroup ratings "
	owner := func(uid types.UID) []meta.OwnerReference {
		return []meta.OwnerReference{{APIVersion: "networking.istio.io/v1", Kind: "WorkloadGroup", Name: "ratings", UID: uid}}
	}
	for name, test := range map[string]struct {
		inFacts, inAPI types.UID
		change         func(machine *v1alpha1.Machine)
		want           string
	}{
		"new":                   {"g1", "g1", func(m *v1alpha1.Machine) { m.Finalizers = nil }, "hawser.io/leave" + owned + "g1"},
		"of-an-older-manager":   {"g1", "g1", func(*v1alpha1.Machine) {}, "hawser.io/leave" + owned + "g1"},
		"group-made-anew":       {"g2", "g2", func(m *v1alpha1.Machine) { m.OwnerReferences = owner("g1") }, "hawser.io/leave" + owned + "g2"},
		"cache-has-the-old-one": {"g1", "g2", func(m *v1alpha1.Machine) { m.OwnerReferences = owner("g2") }, "hawser.io/leave" + owned + "g2"},
		"group-gone":            {"g1", "", func(*v1alpha1.Machine) {}, "hawser.io/leave; "},
		"others-are-kept": {"g1", "g1", func(m *v1alpha1.Machine) {
			m.Finalizers = []string{"example.com/audit"}
			m.OwnerReferences = []meta.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "rack", UID: "c1"}}
		}, "example.com/audit,hawser.io/leave; v1 ConfigMap rack c1,networking.istio.io/v1 WorkloadGroup ratings g1"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.group(test.inFacts, test.inAPI)
				machine := w.object()
				w.api.change(machine, func() { test.change(machine) })
				recorder := w.replica("pod-0")
				w.connect(recorder, "s1", asItIs)
				// The write's event.
				recorder.Look(w.machine)
				w.want("tied", machineUp)
				if got := w.ties(); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
				w.api.takeWrites()
				recorder.Look(w.machine)
				w.wantWrites("again", 0)
			})
		})
	}
}

// `kubectl delete workloadgroup --cascade=orphan` has its machines stay: they must not be given back to a group that is about to go.
func TestGroupThatIsBeingDeletedOwnsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		group := w.group("g1", "g1")
		w.api.change(group, func() { group.Finalizers = []string{"orphan"} })
		if err := w.api.Delete(w.Context(), group); err != nil {
			t.Fatal(err)
		}
		w.connect(w.replica("pod-0"), "s1", asItIs)
		if got := w.ties(); got != "hawser.io/leave; " {
			t.Errorf("got %s", got)
		}
	})
}

// gone reports whether the Machine is.
func (w *world) gone() bool {
	return apierrors.IsNotFound(w.api.Get(context.Background(), w.machine, &v1alpha1.Machine{}))
}

// A deleted machine is out of rotation at once; its object goes when its host has left.
func TestDeletedMachineStaysUntilItsHostHasLeft(t *testing.T) {
	inWorld(t, func(w *world) {
		recorder := w.replica("pod-0")
		entry := w.connect(recorder, "s1", asItIs)
		wake := w.reaper(map[string]bool{"pod-0": true})
		if err := w.api.Delete(w.Context(), w.object()); err != nil {
			t.Fatal(err)
		}
		recorder.Look(w.machine)
		wake <- struct{}{}
		w.pass(30 * time.Second)
		w.want("while its host leaves", "Machine shop/ratings-vm-1 on pod-0 by s1")
		entry.Close(true)
		if err := recorder.Remove(w.Context(), facts.Machine{NamespacedName: w.machine, UID: w.uid}); err != nil {
			t.Fatal(err)
		}
		if !w.gone() {
			t.Error("it is still there when its host has left")
		}
	})
}

func TestDeletedMachineGoesWithoutItsHost(t *testing.T) {
	for name, test := range map[string]struct {
		connected bool
		away      time.Duration
		within    time.Duration
	}{
		"away":         {away: time.Minute, within: 2 * time.Second},
		"just-lost":    {away: time.Second, within: 2 * time.Second},
		"never-leaves": {connected: true, within: 63 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				recorder := w.replica("pod-0")
				entry := w.connect(recorder, "s1", asItIs)
				if !test.connected {
					entry.Close(false)
					w.pass(test.away)
				}
				wake := w.reaper(map[string]bool{"pod-0": true})
				w.pass(2 * time.Second)
				if err := w.api.Delete(w.Context(), w.object()); err != nil {
					t.Fatal(err)
				}
				recorder.Look(w.machine)
				wake <- struct{}{}
				w.pass(time.Second)
				if test.connected && w.gone() {
					t.Error("it is gone before its time")
				}
				w.pass(test.within)
				if !w.gone() {
					t.Fatal("it is still there")
				}
				w.want("afterwards", "")
				if got := strings.Join(w.api.voided, " "); got != "shop/ratings-vm-1" {
					t.Errorf("voided %q", got)
				}
			})
		})
	}
}

// A name that is another machine's by now keeps its tokens and its object: only what was the former one's goes.
func TestLostMachineWhoseNameIsAnothersLeavesThatAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		recorder := w.replica("pod-0")
		w.connect(recorder, "s1", asItIs).Close(false)
		machine := w.object()
		w.api.change(machine, func() { machine.UID = "m2" })
		recorder.Look(w.machine)
		w.pass(time.Minute)
		if len(w.api.voided) > 0 || w.object().UID != "m2" {
			t.Errorf("voided %q", w.api.voided)
		}
		if err := w.api.Get(context.Background(), w.machine, &clientnetworking.WorkloadEntry{}); !apierrors.IsNotFound(err) {
			t.Errorf("the former one's entry: %v", err)
		}
	})
}
