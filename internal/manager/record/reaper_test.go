package record_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/record"
)

// reaper starts a leader that sees the managers.
func (w *world) reaper(managers map[string]bool) chan<- struct{} {
	return w.leading(w.replica("leader"), managers)
}

// leading has a replica lead.
func (w *world) leading(leader *record.Recorder, managers map[string]bool) chan<- struct{} {
	wake := make(chan struct{}, 1)
	w.start(record.NewReaper(leader, record.Cluster{
		Machines: func(context.Context) ([]v1alpha1.Machine, error) { return w.api.machines(), nil },
		Managers: func(context.Context) (map[string]bool, error) { return managers, nil },
		Ending:   func(context.Context) (map[string]bool, error) { return w.ending, nil },
	}, wake).Run)
	return wake
}

func TestMachineOfADeadReplicaIsTakenOut(t *testing.T) {
	inWorld(t, func(w *world) {
		managers := map[string]bool{"pod-0": true}
		wake := w.reaper(managers)
		w.connect(w.replica("pod-0"), "s1", asItIs)
		wake <- struct{}{}
		w.pass(time.Hour)
		w.want("its replica lives", machineUp)
		w.api.takeWrites()
		delete(managers, "pod-0")
		w.stop()
		wake = w.reaper(managers)
		wake <- struct{}{}
		w.pass(record.DefaultGrace - time.Second)
		w.want("within the grace", machineUp)
		w.pass(3 * time.Second)
		w.want("after it", strings.Replace(down("", "ManagerLost"), " Healthy", " Connected=False(ManagerLost) Healthy", 1))
		w.wantWrites("after it", 2)
		w.pass(time.Hour)
		w.wantWrites("later", 0)
	})
}

// Of hundreds that a dead replica had all but one have come to another one, which writes that as fast as it can: the leader waits for it, and takes out
// the one that is lost when the others are written.
func TestThoseThatMovedAreNotTakenForLost(t *testing.T) {
	inWorld(t, func(w *world) {
		const machines = 1000
		w.connectMany(w.replica("pod-0"), machines)
		w.stop()
		wake := w.reaper(map[string]bool{"pod-1": true})
		wake <- struct{}{}
		second := w.replica("pod-1")
		w.api.pace(500 * time.Millisecond)
		for i := range machines - 1 {
			w.connect(second, fmt.Sprint("again", i), func(s *record.Session) { s.Machine, s.UID = fleetName(i), types.UID(fmt.Sprint("uid-", i)) })
		}
		for range 60 {
			w.pass(time.Second)
			select {
			case wake <- struct{}{}:
			default:
			}
			for _, machine := range w.api.machines() {
				if machine.Name != fleetName(machines-1).Name && machine.Name != w.machine.Name && machine.Status.Connection == nil {
					t.Fatalf("%s moved, and was taken out", machine.Name)
				}
			}
		}
		var lost v1alpha1.Machine
		if err := w.api.Get(t.Context(), fleetName(machines-1), &lost); err != nil || lost.Status.Connection != nil {
			t.Errorf("the lost one is still connected: %v, %v", lost.Status.Connection, err)
		}
	})
}

// When thousands come at once, the last of them is written after a minute or two.
func TestMachineThatCameToTheLeaderAndIsNotWrittenYet(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect(w.replica("pod-0"), "s1", asItIs)
		w.stop()
		leader := w.replica("leader")
		w.api.pace(30 * time.Second)
		w.connect(leader, "s2", asItIs)
		wake := w.leading(leader, map[string]bool{"leader": true})
		wake <- struct{}{}
		for range 20 {
			w.pass(5 * time.Second)
			if state := w.api.String(); !strings.Contains(state, "Healthy=True") {
				t.Fatalf("it is here, and was taken out:\n%s", state)
			}
		}
		w.api.pace(0)
		w.pass(time.Minute)
		w.want("in the end", strings.Replace(machineUp, "pod-0 by s1", "leader by s2", 1))
	})
}

// Traffic is what matters: a machine counts as lost once its entry says so, and not before.
func TestMachineIsTakenOutAlthoughAWriteFails(t *testing.T) {
	for _, kind := range []string{"WorkloadEntry", "Machine"} {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.connect(w.replica("pod-0"), "s1", asItIs)
				w.stop()
				w.api.refuse(kind)
				wake := w.reaper(nil)
				wake <- struct{}{}
				w.pass(time.Minute)
				w.api.refuse()
				w.pass(time.Minute)
				w.want("written in the end", strings.Replace(down("", "ManagerLost"), " Healthy", " Connected=False(ManagerLost) Healthy", 1))
			})
		})
	}
}

// A replica that dies while it takes a machine out leaves a status that the leader can still tell from.
func TestReplicaDiesBetweenItsWrites(t *testing.T) {
	for _, kind := range []string{"WorkloadEntry", "Machine"} {
		t.Run(kind, func(t *testing.T) {
			inWorld(t, func(w *world) {
				e := w.connect(w.replica("pod-0"), "s1", asItIs)
				w.api.refuse(kind)
				e.Close(false)
				w.pass(time.Minute)
				w.stop()
				w.api.refuse()
				wake := w.reaper(nil)
				wake <- struct{}{}
				w.pass(time.Minute)
				w.want("taken out by the leader", strings.Replace(down("", "ManagerLost"), " Healthy", " Connected=False(ManagerLost) Healthy", 1))
			})
		})
	}
}

// A replica that is too busy to answer its probes may hold its streams all the same: taking its machines out would be the greater harm.
func TestMachineOfAReplicaThatIsNotReady(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect(w.replica("pod-0"), "s1", asItIs)
		w.api.takeWrites()
		wake := w.reaper(map[string]bool{"pod-0": false})
		wake <- struct{}{}
		w.pass(59 * time.Second)
		w.want("for a minute", machineUp)
		w.wantWrites("for a minute", 0)
		w.stop()
		wake = w.reaper(map[string]bool{"pod-0": false})
		wake <- struct{}{}
		w.pass(63 * time.Second)
		w.want("after it", strings.Replace(down("", "ManagerLost"), " Healthy", " Connected=False(ManagerLost) Healthy", 1))
	})
}

func TestMachineThatMovedIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		managers := map[string]bool{"pod-1": true}
		w.connect(w.replica("pod-0"), "s1", asItIs)
		wake := w.reaper(managers)
		w.pass(5 * time.Second)
		w.connect(w.replica("pod-1"), "s2", asItIs)
		wake <- struct{}{}
		w.pass(time.Hour)
		w.want("moved", strings.Replace(machineUp, "pod-0 by s1", "pod-1 by s2", 1))
	})
}

// A machine that is revoked while it is away is known to be revoked, and not only to be away.
func TestMachineIsRevokedWhileItIsAway(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		e.Close(false)
		w.pass(time.Minute)
		machine := w.object()
		w.api.change(machine, func() { machine.Spec.Revoked = true })
		wake := w.reaper(map[string]bool{"pod-0": true})
		wake <- struct{}{}
		w.pass(time.Minute)
		w.want("revoked", strings.Replace(down("", "Revoked"), " Healthy", " Connected=False(Revoked) Healthy", 1))
	})
}

// A namespace that is being deleted takes its machines along at once, those that are away as well.
func TestMachineOfANamespaceThatEnds(t *testing.T) {
	for name, connected := range map[string]bool{"connected": true, "away": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				e := w.connect(w.replica("pod-0"), "s1", asItIs)
				if !connected {
					e.Close(false)
					w.pass(time.Minute)
				}
				wake := w.reaper(map[string]bool{"pod-0": true})
				wake <- struct{}{}
				w.pass(time.Minute)
				if w.object().DeletionTimestamp != nil {
					t.Fatal("deleted before the namespace was")
				}
				w.ending = map[string]bool{"another": true, w.machine.Namespace: true}
				wake <- struct{}{}
				w.pass(2 * time.Second)
				if connected && w.object().DeletionTimestamp == nil {
					t.Error("it is not deleted")
				}
				// The API server tells of the deletion.
				wake <- struct{}{}
				w.pass(time.Minute + 2*time.Second)
				w.want("gone with its entry", "")
			})
		})
	}
}

func TestTokensOfARevokedMachineAreVoided(t *testing.T) {
	inWorld(t, func(w *world) {
		machine := w.object()
		w.api.change(machine, func() { machine.Spec.Revoked = true })
		wake := w.reaper(nil)
		w.pass(time.Minute)
		wake <- struct{}{}
		w.pass(time.Minute)
		if got := strings.Join(w.api.voided, " "); got != "shop/ratings-vm-1" {
			t.Errorf("voided %q, want once", got)
		}
		w.want("its status says so", "Machine shop/ratings-vm-1 Connected=False(Revoked) Healthy=False(Revoked) Ready=False(Revoked)")
		w.wantWrites("its status, once", 1)
	})
}
