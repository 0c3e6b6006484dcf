package record_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
)

func TestConnectedMachineTakesTraffic(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect(w.replica("pod-0"), "s1", asItIs)
		w.want("connected", machineUp)
		entry := w.entry()
		for key, want := range map[string]string{
			"app": "ratings", "version": "v1", "hawser.io/group": "ratings", "service.istio.io/canonical-name": "ratings", "service.istio.io/canonical-revision": "v1",
		} {
			if entry.Spec.Labels[key] != want || entry.Labels[key] != want {
				t.Errorf("label %s = %q and %q, want %q", key, entry.Spec.Labels[key], entry.Labels[key], want)
			}
		}
		if entry.Spec.Network != "vm-net" || entry.Spec.ServiceAccount != "ratings" || entry.Spec.Ports["http"] != 8080 {
			t.Errorf("entry %v", &entry.Spec)
		}
		if owner := meta.GetControllerOf(entry); owner == nil || owner.Kind != "Machine" || owner.UID != w.uid {
			t.Errorf("the entry is owned by %v", owner)
		}
		if entry.Annotations["proxy.istio.io/health-checks-enabled"] != "true" {
			t.Errorf("annotations %v", entry.Annotations)
		}
		s := w.object().Status
		if s.Address != "172.31.0.11" || s.Revision != "default" || s.DesiredGeneration != "g1" || s.AppliedGeneration != "g1" || s.Proxy.Version != "1.31.4" {
			t.Errorf("status %+v", s)
		}
		if events := w.api.takeEvents(); !strings.Contains(events, "Normal Connected") || !strings.Contains(events, "Normal Healthy") {
			t.Errorf("events %s", events)
		}
	})
}

func TestNothingIsWrittenWhileNothingChanges(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		e := w.connect(r, "s1", asItIs)
		w.want("connected", machineUp)
		w.api.takeWrites()
		for range 100 {
			e.Report(healthy())
			e.Decide(record.Decision{Generation: "g1", Revision: "default"})
			r.Look(w.machine)
			w.changed <- struct{}{}
			w.pass(time.Minute)
		}
		w.wantWrites("after 100 minutes of the same", 0)
	})
}

func TestHealthFollowsReports(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*hawserv1.Report)
		reason string
	}{
		"application": {func(r *hawserv1.Report) { r.Healthy, r.UnhealthyReason = false, "connection refused" }, "Unhealthy"},
		"proxy":       {func(r *hawserv1.Report) { r.Proxy.Ready = false }, "ProxyNotReady"},
		"draining":    {func(r *hawserv1.Report) { r.Draining = true }, "Draining"},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				e := w.connect(w.replica("pod-0"), "s1", asItIs)
				e.Report(healthy(c.change))
				w.want("unhealthy", down(" on pod-0 by s1", c.reason))
				if events := w.api.takeEvents(); !strings.Contains(events, "Warning NotHealthy: "+c.reason) {
					t.Errorf("events %s", events)
				}
				e.Report(healthy())
				w.want("healthy again", machineUp)
			})
		})
	}
}

func TestLostStream(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		w.api.takeWrites()
		e.Close(false)
		w.pass(record.DefaultGrace - time.Millisecond)
		w.want("within the grace", machineUp)
		w.wantWrites("within the grace", 0)
		w.pass(2 * time.Millisecond)
		w.want("after it", strings.Replace(down("", "StreamLost"), " Healthy", " Connected=False(StreamLost) Healthy", 1))
		w.wantWrites("after it", 2)
		w.pass(time.Hour)
		w.wantWrites("later", 0)
	})
}

// A queue that has the machine already, to try a write again, takes no later wish for it: the end of the grace must not get lost in that.
func TestStreamIsLostWhileAWriteIsTriedAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.api.refuse("WorkloadEntry")
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		w.pass(3 * time.Second)
		e.Close(false)
		w.api.refuse()
		w.pass(time.Minute)
		w.want("after the grace", strings.Replace(down("", "StreamLost"), " Healthy", " Connected=False(StreamLost) Healthy", 1))
	})
}

func TestAgentComesBackToAnotherReplica(t *testing.T) {
	inWorld(t, func(w *world) {
		first, second := w.replica("pod-0"), w.replica("pod-1")
		e := w.connect(first, "s1", asItIs)
		e.Close(false)
		w.pass(time.Second)
		w.connect(second, "s2", asItIs)
		moved := strings.Replace(machineUp, "pod-0 by s1", "pod-1 by s2", 1)
		w.want("moved", moved)
		w.api.takeWrites()
		w.pass(time.Minute)
		w.want("after the first one's grace", moved)
		w.wantWrites("after the first one's grace", 0)
	})
}

// What was found out about a machine's configuration holds until there is a new finding: a machine that moves was ready all along.
func TestMachineThatMovesStaysReady(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect(w.replica("pod-0"), "s1", asItIs).Close(false)
		second := w.replica("pod-1")
		second.Open(record.Session{
			ID: "s2", Machine: w.machine, UID: w.uid, Since: time.Now(), Superseded: func() {},
			Host: &hawserv1.HostFacts{Architecture: "amd64", AgentVersion: "0.1.0", Addresses: []string{"172.31.0.11"}}, Report: healthy(),
		})
		w.want("before its state is made", strings.Replace(machineUp, "pod-0 by s1", "pod-1 by s2", 1))
	})
}

func TestHalfOpenStreamGivesWay(t *testing.T) {
	inWorld(t, func(w *world) {
		first, second := w.replica("pod-0"), w.replica("pod-1")
		superseded := false
		old := w.connect(first, "s1", func(s *record.Session) { s.Superseded = func() { superseded = true } })
		w.connect(second, "s2", asItIs)
		old.Report(healthy(func(r *hawserv1.Report) { r.Healthy = false }))
		w.want("both replicas have a stream", strings.Replace(machineUp, "pod-0 by s1", "pod-1 by s2", 1))
		if !superseded {
			t.Error("the old stream was not ended")
		}
	})
}

func TestReconnectToTheSameReplica(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		old := w.connect(r, "s1", asItIs)
		w.connect(r, "s2", asItIs)
		old.Close(false)
		old.Report(&hawserv1.Report{})
		w.pass(time.Minute)
		w.want("reconnected", strings.Replace(machineUp, "by s1", "by s2", 1))
	})
}

func TestGroupAndPolicyReachTheEntry(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect(w.replica("pod-0"), "s1", asItIs)
		addressIn := func(cidr string) {
			policy := &v1alpha1.MachinePolicy{ObjectMeta: meta.ObjectMeta{Name: "p"}, Spec: v1alpha1.MachinePolicySpec{Address: &v1alpha1.Address{CIDR: cidr}}}
			w.facts.Policies = map[string][]*v1alpha1.MachinePolicy{"shop": {policy}}
			w.changed <- struct{}{}
		}
		addressIn("10.0.0.0/8")
		w.want("the policy wants another address", strings.Replace(machineUp, "172.31.0.11", "10.0.0.1", 1))
		addressIn("192.0.2.0/24")
		w.want("the host has none of these", strings.Replace(down(" on pod-0 by s1", "NoAddress"), "172.31.0.11", "10.0.0.1", 1))
		w.facts.Groups = nil
		w.changed <- struct{}{}
		w.want("no group", strings.Replace(down(" on pod-0 by s1", "GroupNotFound"), "172.31.0.11", "10.0.0.1", 1))
	})
}

// Istio merges an entry's own labels over those of its spec: one that stays behind would keep the machine in a Service for ever.
func TestLabelsGoWithTheGroup(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect(w.replica("pod-0"), "s1", asItIs)
		entry := &clientnetworking.WorkloadEntry{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings-vm-1"}}
		w.api.change(entry, func() { entry.Labels["team"] = "payments" })
		group := w.facts.Groups[types.NamespacedName{Namespace: "shop", Name: "ratings"}]
		group.Spec = group.Spec.DeepCopy()
		delete(group.Spec.GetTemplate().GetLabels(), "version")
		delete(group.Spec.GetMetadata().GetLabels(), "version")
		w.facts.Groups = map[types.NamespacedName]facts.Group{group.NamespacedName: group}
		w.changed <- struct{}{}
		w.want("the group lost a label", machineUp)
		got := w.entry()
		for where, labels := range map[string]map[string]string{"object": got.Labels, "spec": got.Spec.Labels} {
			if version, ok := labels["version"]; ok {
				t.Errorf("the entry's %s still has version=%s", where, version)
			}
		}
		if got.Labels["team"] != "payments" {
			t.Errorf("somebody else's label is gone: %v", got.Labels)
		}
	})
}

func TestIstiodsAnnotationsStay(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		e := w.connect(r, "s1", asItIs)
		entry := &clientnetworking.WorkloadEntry{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings-vm-1"}}
		w.api.change(entry, func() {
			entry.Annotations["istio.io/connectedAt"] = "now"
			entry.Spec.Weight, entry.Labels["app"] = 7, "something else"
		})
		e.Report(healthy(func(r *hawserv1.Report) { r.ProxyCertificateExpiry = 1 }))
		w.want("changed by others", machineUp)
		got := w.entry()
		if got.Annotations["istio.io/connectedAt"] != "now" || got.Spec.Weight != 0 || got.Labels["app"] != "ratings" {
			t.Errorf("entry %v %v %v", got.Annotations, &got.Spec, got.Labels)
		}
	})
}

func TestForeignEntryIsNotTouched(t *testing.T) {
	inWorld(t, func(w *world) {
		foreign := &clientnetworking.WorkloadEntry{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings-vm-1"}}
		foreign.Spec.Address = "192.0.2.9"
		if err := w.api.Create(t.Context(), foreign); err != nil {
			t.Fatal(err)
		}
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		w.want("the name is taken", "Machine shop/ratings-vm-1 on pod-0 by s1 Healthy=False(EntryTaken) Ready=False(EntryTaken)\nWorkloadEntry shop/ratings-vm-1 192.0.2.9")
		e.Close(false)
		w.pass(time.Minute)
		if c := apimeta.FindStatusCondition(w.object().Status.Conditions, v1alpha1.ConditionConnected); c == nil || c.Reason != "StreamLost" {
			t.Errorf("the lost machine is %v", c)
		}
		if got := w.entry(); got.Spec.Address != "192.0.2.9" || len(got.Status.Conditions) != 0 {
			t.Errorf("entry %v %v", &got.Spec, &got.Status)
		}
		if err := w.api.Delete(t.Context(), foreign); err != nil {
			t.Fatal(err)
		}
		w.connect(w.replica("pod-0"), "s1", asItIs)
		w.pass(time.Minute)
		w.want("it is free", machineUp)
	})
}

func TestRevokedMachineIsOutAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		w.connect(r, "s1", asItIs)
		machine := w.object()
		w.api.change(machine, func() { machine.Spec.Revoked = true })
		r.Look(w.machine)
		w.want("revoked", strings.Replace(down("", "Revoked"), " Healthy", " Connected=False(Revoked) Healthy", 1))
		if len(w.api.voided) == 0 {
			t.Error("its tokens are still good")
		}
	})
}

func TestDeletedMachineLeavesNoEntry(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		e := w.connect(r, "s1", asItIs)
		if err := w.api.Delete(t.Context(), w.object()); err != nil {
			t.Fatal(err)
		}
		r.Look(w.machine)
		w.want("deleted", "Machine shop/ratings-vm-1 on pod-0 by s1")
		e.Report(healthy())
		e.Close(false)
		w.pass(time.Hour)
		w.want("later", "Machine shop/ratings-vm-1 on pod-0 by s1")
	})
}

func TestRemove(t *testing.T) {
	inWorld(t, func(w *world) {
		r := w.replica("pod-0")
		w.connect(r, "s1", asItIs)
		for range 2 {
			if err := r.Remove(context.Background(), facts.Machine{NamespacedName: w.machine, UID: w.uid}); err != nil {
				t.Fatal(err)
			}
		}
		w.want("removed", "")
		if len(w.api.voided) == 0 {
			t.Error("its tokens are still good")
		}
	})
}

func TestRemovalWaitsForAWriteUnderWay(t *testing.T) {
	inWorld(t, func(w *world) {
		w.api.slow = make(chan struct{})
		r := w.replica("pod-0")
		w.connect(r, "s1", asItIs)
		removed := make(chan error, 1)
		go func() {
			removed <- r.Remove(context.Background(), facts.Machine{NamespacedName: w.machine, UID: w.uid})
		}()
		synctest.Wait()
		close(w.api.slow)
		if err := <-removed; err != nil {
			t.Fatal(err)
		}
		w.want("removed while its entry was being made", "")
	})
}

func TestStrangeReportsAreMadeFit(t *testing.T) {
	inWorld(t, func(w *world) {
		e := w.connect(w.replica("pod-0"), "s1", asItIs)
		e.Report(healthy(func(r *hawserv1.Report) {
			r.Proxy.Slot = "zzz"
			r.Conditions = append(r.Conditions[:1],
				&hawserv1.Condition{Type: v1alpha1.ConditionProxyReady, Status: "Perhaps", Reason: "no reason at all", Message: strings.Repeat("é", 5000)},
				&hawserv1.Condition{Type: v1alpha1.ConditionHealthy, Status: "True", Reason: "ISaySo"},
				&hawserv1.Condition{Type: "Whatever", Status: "True", Reason: "X"})
			r.Address = "127.0.0.1"
		}))
		w.want("strange", strings.Replace(machineUp, "by s1", "by s1 ProxyReady=Unknown(Unspecified)", 1))
		s := w.object().Status
		if s.Proxy.Slot != "" || len(s.Conditions) != 7 {
			t.Errorf("status %+v", s)
		}
		for _, c := range s.Conditions {
			if len(c.Message) > 1024 || c.Reason == "ISaySo" {
				t.Errorf("condition %v", c)
			}
		}
	})
}
