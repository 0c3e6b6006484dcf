package admission

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/refusal"
)

// join makes a machine with the key, as package enroll does: the Machine first, then the note.
func (w *world) join(k *Keeper, key string) identity.Stamp {
	w.t.Helper()
	machine := vm()
	machine.KeyFingerprint = key
	w.machine = NewMachine(machine, w.clock)
	w.machine.UID, w.machine.ResourceVersion = "first", "0"
	return w.stamp(k)
}

func (w *world) stamp(k *Keeper) identity.Stamp {
	w.t.Helper()
	stamp, err := k.Stamp(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.clock = w.clock.Add(time.Minute)
	return stamp
}

// calls returns whether the machine with the key and the stamp is taken back.
func (w *world) calls(key string, stamp identity.Stamp) bool {
	w.t.Helper()
	candidate := vm()
	candidate.KeyFingerprint = key
	machine, ok, err := w.readmitter().Readmit(w.t.Context(), candidate, stamp)
	if err != nil {
		w.t.Fatal(err)
	}
	if ok && (machine.KeyFingerprint != key || machine.UID == "" || w.machine.Annotations[v1alpha1.AnnotationReturning] != "") {
		w.t.Errorf("taken back as %+v, %v", machine, w.machine.Annotations)
	}
	return ok
}

// Each way to delete a Machine ends the same: it is not taken back. That is today's answer, and no restore has happened.
func TestDeletedMachineIsNotTakenBack(t *testing.T) {
	w := newWorld(t)
	stamp := w.join(w.keeper(), "mine")
	w.machine = nil
	if w.calls("mine", stamp) || w.calls("mine", identity.Stamp{}) {
		t.Error("a deleted machine was taken back")
	}
	w.page = nil
	if w.calls("mine", stamp) {
		t.Error("a deleted machine was taken back as the book is gone")
	}
	k := w.keeper()
	if err := k.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w.stamp(k); w.calls("mine", stamp) {
		t.Error("a deleted machine was taken back as the book is another one")
	}
}

func TestForgottenMachineIsTakenBackOnce(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	saved := w.save()
	stamp := w.join(k, "mine")
	w.restore(saved)
	w.did = nil
	if !w.calls("mine", stamp) {
		t.Fatal("it was not taken back")
	}
	want := []string{
		"create vm of ratings, key mine", "void tokens", "note", "update vm, key mine",
		"event Normal Readmitted: the cluster's state was restored to one from before this machine joined (2026-08-01T10:00:00.000Z): it was taken back by its certificate",
	}
	if !slices.Equal(w.did, want) {
		t.Errorf("did\n%s", strings.Join(w.did, "\n"))
	}
	if !strings.Contains(w.log.String(), `msg="machine readmitted" machine=shop/vm group=ratings admission=0123456789abcdef.1.`) {
		t.Errorf("log %s", w.log.String())
	}
	if w.did = nil; w.calls("mine", stamp) || len(w.did) != 0 {
		t.Errorf("a second call did %q", w.did)
	}
	// Deleted then, it is deleted.
	w.machine = nil
	if w.calls("mine", stamp) {
		t.Error("it was taken back again after it was deleted")
	}
	// A second restore forgets that as well.
	w.restore(saved)
	if !w.calls("mine", stamp) {
		t.Error("it was not taken back after a second restore")
	}
}

// The manager is killed before each of its writes in turn. Whatever it got done, the machine is taken back at its next call, and can be deleted then.
func TestKilledWhileTakingBack(t *testing.T) {
	for _, rekeyed := range []bool{false, true} {
		for kill := 1; ; kill++ {
			w := newWorld(t)
			k := w.keeper()
			if rekeyed {
				w.join(k, "former")
			}
			saved := w.save()
			stamp := w.join(k, "mine")
			w.restore(saved)
			w.writes, w.kill = 0, kill
			_, _, err := w.readmitter().Readmit(t.Context(), vm(), stamp)
			if err == nil {
				if kill < 5 {
					t.Errorf("only %d writes", kill-1)
				}
				break
			}
			if refused, ok := refusal.FromError(err); !ok || refused.Reason != refusal.ManagerBusy || !refused.Retry || !errors.Is(err, errKilled) {
				t.Fatalf("killed at %d: %v", kill, err)
			}
			if w.kill = 0; !w.calls("mine", stamp) {
				t.Errorf("killed at %d: it was not taken back", kill)
			}
			w.machine = nil
			if w.calls("mine", stamp) {
				t.Errorf("killed at %d: it came back after it was deleted", kill)
			}
		}
	}
}

func TestGroupThatIsGone(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	saved := w.save()
	stamp := w.join(k, "mine")
	w.restore(saved)
	w.noGroup = true
	_, ok, err := w.readmitter().Readmit(t.Context(), vm(), stamp)
	refused, _ := refusal.FromError(err)
	if ok || refused == nil || refused.Reason != refusal.MachineForgotten || !refused.Retry || strings.Contains(refused.Error(), "{") {
		t.Fatalf("got %v, %v", ok, err)
	}
	if w.noGroup = false; !w.calls("mine", stamp) {
		t.Error("it was not taken back when the group was there")
	}
}

// A host joined again, with another key, after the state that came back: its certificate is the later one.
func TestLaterKeyWins(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	former := w.join(k, "former")
	saved := w.save()
	stamp := w.join(k, "mine")
	w.restore(saved)
	if w.calls("former", former) {
		t.Error("the former key was taken back, which needs no taking back")
	}
	w.did = nil
	if !w.calls("mine", stamp) || w.machine.Spec.KeyFingerprint != "mine" || w.machine.UID != "first" {
		t.Fatalf("got %+v", w.machine)
	}
	if want := []string{"void tokens", "update vm, key mine", "void tokens", "note", "update vm, key mine"}; !slices.Equal(w.did[:5], want) {
		t.Errorf("did\n%s", strings.Join(w.did, "\n"))
	}
	if w.calls("former", former) || w.machine.Spec.KeyFingerprint != "mine" {
		t.Error("the former key won")
	}
}

// Somebody joined under the name since the restore: the machine of before is out, also when the name is free again.
func TestKeyOfAfterTheRestoreWins(t *testing.T) {
	w := newWorld(t)
	saved := w.save()
	stamp := w.join(w.keeper(), "mine")
	w.restore(saved)
	w.join(w.keeper(), "newer")
	if w.calls("mine", stamp) {
		t.Error("it was taken back in the place of one that joined since")
	}
	w.machine = nil
	if w.calls("mine", stamp) {
		t.Error("it was taken back when that one was deleted")
	}
}

func TestRevokedMachineStaysOut(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	w.join(k, "former")
	w.machine.Spec.Revoked = true
	saved := w.save()
	stamp := w.join(k, "mine")
	w.restore(saved)
	if w.calls("mine", stamp) || w.machine.Spec.KeyFingerprint != "former" {
		t.Error("a revoked Machine got another key")
	}
}

func TestMachineThatIsBeingDeletedIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	w.join(k, "former")
	w.machine.DeletionTimestamp = &meta.Time{Time: w.clock}
	saved := w.save()
	stamp := w.join(k, "mine")
	w.restore(saved)
	if _, ok, err := w.readmitter().Readmit(t.Context(), vm(), stamp); ok || !errors.Is(err, refusal.ManagerBusy) {
		t.Errorf("got %v, %v", ok, err)
	}
	if w.machine = nil; !w.calls("mine", stamp) {
		t.Error("it was not taken back afterwards")
	}
}

// A manager outlives the restore: what it notes then does not cover what it had given before.
func TestManagerThatOutlivesARestore(t *testing.T) {
	w := newWorld(t)
	k := w.keeper()
	w.join(k, "before")
	saved := w.save()
	stamps := []identity.Stamp{w.join(k, "mine"), w.join(k, "mine"), w.join(k, "mine")}
	w.restore(saved)
	w.machine = nil
	after := w.stamp(k)
	for i, stamp := range stamps {
		if forgot, err := k.Forgot(t.Context(), stamp); err != nil || !forgot {
			t.Errorf("stamp %d is not forgotten (%v)", i, err)
		}
	}
	if forgot, err := k.Forgot(t.Context(), after); err != nil || forgot {
		t.Errorf("what was given after the restore is forgotten (%v)", err)
	}
	if again := w.stamp(k); again.Term != after.Term || again.Number <= after.Number {
		t.Errorf("%v after %v", again, after)
	}
}
