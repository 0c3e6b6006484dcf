package record_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
)

// TestAChangeOfAllIsOneWriteEach: thousands of machines are sent something and apply it at nearly the same time. That is written afterwards, once
// for each, and a machine that fails meanwhile does not wait for it.
func TestAChangeOfAllIsOneWriteEach(t *testing.T) {
	inWorld(t, func(w *world) {
		const machines = 500
		fleet := w.connectMany(w.replica("pod-0"), machines)
		for _, e := range fleet {
			e.Decide(record.Decision{Generation: "g2", Revision: "default"})
			synctest.Wait()
			e.Report(healthy(func(r *hawserv1.Report) { r.AppliedGeneration = "g2" }))
		}
		w.wantWrites("while others are being sent the same", 0)
		fleet[0].Report(healthy(func(r *hawserv1.Report) { r.AppliedGeneration, r.Healthy = "g2", false }))
		w.wantWrites("one machine fails", 2)
		w.pass(time.Second)
		w.wantWrites("all the others", machines-1)
		w.pass(time.Hour)
		w.wantWrites("later", 0)
	})
}

// While a change is on its way to one machine after the other, nothing is written of those that have it; but not for ever.
func TestWritesWaitForTheEndOfAChange(t *testing.T) {
	inWorld(t, func(w *world) {
		entries := w.connectMany(w.replica("pod-0"), 400)
		tell := func(some []*record.Entry, generation string) {
			for _, e := range some {
				e.Decide(record.Decision{Generation: generation, Revision: "default"})
				e.Report(healthy(func(r *hawserv1.Report) { r.AppliedGeneration = generation }))
				w.pass(10 * time.Millisecond)
			}
		}
		tell(entries, "g2")
		w.wantWrites("while machines get it", 0)
		w.pass(time.Second)
		w.wantWrites("when all have it", len(entries))
		tell(entries, "g3")
		tell(entries[:150], "g4")
		if writes := w.api.takeWrites(); writes < len(entries) {
			t.Errorf("%d writes after 5 s of changes, want at least %d", writes, len(entries))
		}
	})
}

// Machines that come all at once are written when the last of them is there, with what they got and became meanwhile; one that fails is not kept in
// rotation for it.
func TestWritesWaitForTheEndOfAStorm(t *testing.T) {
	inWorld(t, func(w *world) {
		const machines = 500
		before := w.connectMany(w.replica("pod-0"), machines)
		w.stop()
		r := w.replica("pod-1")
		entries := make([]*record.Entry, len(before))
		for i := range entries {
			entries[i] = w.connect(r, fmt.Sprint("again", i), func(s *record.Session) {
				s.Machine, s.UID = fleetName(i), types.UID(fmt.Sprint("uid-", i))
			})
			entries[i].Report(healthy(func(r *hawserv1.Report) { r.Address = "10.0.0.1" }))
			w.pass(5 * time.Millisecond)
			if i == 99 {
				// Fewer than a hundred wait for nothing.
				w.api.takeWrites()
			}
		}
		w.wantWrites("while machines come", 0)
		entries[300].Report(healthy(func(r *hawserv1.Report) { r.Healthy = false }))
		w.wantWrites("one of them fails", 2)
		w.pass(time.Second)
		w.wantWrites("when all have come", 2*(machines-100))
	})
}

// A machine that comes to a manager of many is not kept waiting by the few others that always come and go.
func TestOneThatComesAmongManyDoesNotWaitForAStorm(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		w.connectMany(r, 500)
		for i := range 10 {
			w.connect(r, fmt.Sprint("again", i), func(s *record.Session) {
				s.Machine, s.UID = fleetName(i), types.UID(fmt.Sprint("uid-", i))
			})
			w.pass(40 * time.Millisecond)
		}
		if writes := w.api.takeWrites(); writes < 7 {
			t.Errorf("%d writes while one machine after the other came", writes)
		}
	})
}

// TestHealthOvertakes: a machine that fails while thousands wait to be written is the next.
func TestHealthOvertakes(t *testing.T) {
	inWorld(t, func(w *world) {
		const machines, workers = 500, 32
		fleet := w.connectMany(w.replica("pod-0"), machines)
		w.api.pace(100 * time.Millisecond)
		for _, e := range fleet {
			e.Decide(record.Decision{Generation: "g2", Revision: "default"})
		}
		w.pass(time.Second)
		w.api.takeWrites()
		fleet[machines-1].Report(healthy(func(r *hawserv1.Report) { r.Healthy = false }))
		w.pass(350 * time.Millisecond)
		var entry clientnetworking.WorkloadEntry
		if err := w.api.Get(t.Context(), fleetName(machines-1), &entry); err != nil {
			t.Fatal(err)
		}
		if len(entry.Status.Conditions) != 1 || entry.Status.Conditions[0].Status != "False" {
			t.Errorf("when each worker has had time for three writes the machine still takes traffic: %v", entry.Status.Conditions)
		}
		if n := w.api.takeWrites(); n > 4*workers {
			t.Errorf("%d writes in the time of three for each worker", n)
		}
	})
}

// TestAStreamTooShortToBeToldOfIsStillLost: an agent came back and was lost again before it was written that it came back.
func TestAStreamTooShortToBeToldOfIsStillLost(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		w.connectMany(r, 500)
		first := w.connect(r, "s1", asItIs)
		w.pass(time.Second)
		first.Close(false)
		w.connect(r, "s2", asItIs).Close(false)
		w.connect(r, "s3", asItIs).Close(false)
		w.pass(time.Minute)
		if s := w.object().Status; s.Connection != nil {
			t.Errorf("it is still connected: %+v", s.Connection)
		}
	})
}

// TestOthersChangesAreNoWork: among thousands of machines there is always one that joins or moves.
func TestOthersChangesAreNoWork(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connectMany(w.replica("pod-0"), 3)
		group := w.facts.Groups[types.NamespacedName{Namespace: "shop", Name: "ratings"}]
		other := group
		other.Name, other.Spec = "other", group.Spec.DeepCopy()
		w.facts.Machines = map[types.NamespacedName]facts.Machine{}
		for i := range 3 {
			w.facts.Machines[fleetName(i)] = facts.Machine{NamespacedName: fleetName(i), Group: "ratings"}
		}
		w.cache.takeReads()
		for what, change := range map[string]func(f *facts.Facts){
			"a machine": func(f *facts.Facts) { f.Machines = map[types.NamespacedName]facts.Machine{} },
			"the mesh":  func(f *facts.Facts) { f.Revisions = map[string]facts.Revision{} },
			"another group": func(f *facts.Facts) {
				f.Groups = map[types.NamespacedName]facts.Group{group.NamespacedName: group, other.NamespacedName: other}
			},
			"policies elsewhere": func(f *facts.Facts) { f.Policies = map[string][]*v1alpha1.MachinePolicy{"else": {{}}} },
		} {
			before := w.facts
			for range 2 {
				change(&w.facts)
				w.changed <- struct{}{}
				synctest.Wait()
				if reads := w.cache.takeReads(); reads != 0 {
					t.Errorf("%s changed: %d reads", what, reads)
				}
				w.facts = before
				w.changed <- struct{}{}
				synctest.Wait()
				w.cache.takeReads()
			}
		}
	})
}

func fleetName(i int) types.NamespacedName {
	return types.NamespacedName{Namespace: "shop", Name: fmt.Sprintf("fleet-%d", i)}
}

// connectMany connects machines and returns when all that they are is written.
func (w *world) connectMany(r *record.Recorder, n int) []*record.Entry {
	w.Helper()
	entries := make([]*record.Entry, n)
	for i := range entries {
		machine := &v1alpha1.Machine{
			ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: fleetName(i).Name, UID: types.UID(fmt.Sprint("uid-", i)), Finalizers: []string{v1alpha1.FinalizerLeave}},
			Spec:       v1alpha1.MachineSpec{Group: "ratings"},
		}
		if err := w.api.Create(w.Context(), machine); err != nil {
			w.Fatal(err)
		}
		entries[i] = w.connect(r, fmt.Sprint("s", i), func(s *record.Session) { s.Machine, s.UID = fleetName(i), machine.UID })
	}
	w.pass(time.Minute)
	w.api.takeWrites()
	return entries
}
