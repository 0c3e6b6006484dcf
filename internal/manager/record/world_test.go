package record_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/record"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

// world is a cluster with the machine shop/ratings-vm-1 and replicas that record. Times go by only while all goroutines sleep.
type world struct {
	*testing.T
	api     *fakeAPI
	cache   *cache
	facts   facts.Facts
	changed chan struct{}
	machine types.NamespacedName
	uid     types.UID
	// ending are the namespaces that are being deleted.
	ending map[string]bool
	cancel []context.CancelFunc
	done   []chan error
}

// inWorld runs a test in a bubble of its own time.
func inWorld(t *testing.T, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, api: newFakeAPI(), changed: make(chan struct{}, 1), machine: types.NamespacedName{Namespace: "shop", Name: "ratings-vm-1"}}
		w.cache = &cache{fakeAPI: w.api}
		base, err := os.ReadFile("../desired/testdata/base.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if w.facts, err = watch.Collect(watch.Options{}, managertest.Objects(t, string(base))...); err != nil {
			t.Fatal(err)
		}
		machine := &v1alpha1.Machine{
			ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings-vm-1", UID: "m1", Generation: 1, Finalizers: []string{v1alpha1.FinalizerLeave}},
			Spec:       v1alpha1.MachineSpec{Group: "ratings"},
		}
		w.uid = machine.UID
		if err := w.api.Create(t.Context(), machine); err != nil {
			t.Fatal(err)
		}
		w.api.takeWrites()
		test(w)
		w.stop()
	})
}

// stop ends all that was started and waits for it.
func (w *world) stop() {
	for i, cancel := range w.cancel {
		cancel()
		if err := <-w.done[i]; err != nil {
			w.Errorf("Run: %v", err)
		}
	}
	w.cancel, w.done = nil, nil
}

func (w *world) start(run func(context.Context) error) context.CancelFunc {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	w.cancel, w.done = append(w.cancel, cancel), append(w.done, done)
	return cancel
}

// replica starts a recorder.
func (w *world) replica(pod string) *record.Recorder {
	r := record.New(record.Options{
		Cached: w.cache, Live: w.api, Writer: w.api, Status: fakeStatus{w.api}, Events: w.api, Tokens: w.api,
		Facts: func() facts.Facts { return w.facts }, Changed: func(context.Context) <-chan struct{} { return w.changed },
		Pod: pod, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	w.start(r.Run)
	return r
}

// connect opens a session whose agent has applied generation g1.
func (w *world) connect(r *record.Recorder, session string, change func(*record.Session)) *record.Entry {
	s := record.Session{
		ID: session, Machine: w.machine, UID: w.uid, Since: time.Now(), Superseded: func() {},
		Host:   &hawserv1.HostFacts{Architecture: "amd64", AgentVersion: "0.1.0", Addresses: []string{"172.31.0.11", "10.0.0.1"}},
		Report: healthy(),
	}
	change(&s)
	entry := r.Open(s)
	entry.Decide(record.Decision{Generation: "g1", Revision: "default"})
	synctest.Wait()
	return entry
}

func asItIs(*record.Session) {}

// healthy is the report of a machine that is as it should be.
func healthy(changes ...func(*hawserv1.Report)) *hawserv1.Report {
	r := &hawserv1.Report{
		AppliedGeneration: "g1", Healthy: true, Proxy: &hawserv1.ProxyStatus{Version: "1.31.4", Slot: "a", Ready: true},
		AgentCertificateExpiry: 1800000000,
	}
	for _, kind := range []string{v1alpha1.ConditionConfigCurrent, v1alpha1.ConditionProxyReady, v1alpha1.ConditionIdentityValid, v1alpha1.ConditionIntercepting} {
		r.Conditions = append(r.Conditions, &hawserv1.Condition{Type: kind, Status: "True", Reason: "Fine"})
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

const (
	machineUp = "Machine shop/ratings-vm-1 on pod-0 by s1\nWorkloadEntry shop/ratings-vm-1 172.31.0.11 Healthy=True"
	machineNo = "Machine shop/ratings-vm-1%s Healthy=False(%s) Ready=False(%s)\nWorkloadEntry shop/ratings-vm-1 172.31.0.11 Healthy=False"
)

func down(before, reason string) string { return fmt.Sprintf(machineNo, before, reason, reason) }

func (w *world) want(when, state string) {
	w.Helper()
	synctest.Wait()
	if got := w.api.String(); got != state {
		w.Errorf("%s:\n%s\nwant\n%s", when, got, state)
	}
}

func (w *world) wantWrites(when string, n int) {
	w.Helper()
	synctest.Wait()
	if got := w.api.takeWrites(); got != n {
		w.Errorf("%s: %d writes, want %d", when, got, n)
	}
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) object() *v1alpha1.Machine {
	w.Helper()
	var machine v1alpha1.Machine
	if err := w.api.Get(context.Background(), w.machine, &machine); err != nil {
		w.Fatal(err)
	}
	return &machine
}

func (w *world) entry() *clientnetworking.WorkloadEntry {
	w.Helper()
	var entry clientnetworking.WorkloadEntry
	if err := w.api.Get(context.Background(), client.ObjectKey(w.machine), &entry); err != nil {
		w.Fatal(err)
	}
	return &entry
}
