package record_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/record"
)

// restarted is a new process of a Pod.
func (w *world) restarted(pod string) *record.Recorder {
	r := w.replica(pod)
	w.start(record.NewHeir(r, func(context.Context) ([]v1alpha1.Machine, error) { return []v1alpha1.Machine{*w.object()}, nil }).Run)
	return r
}

func TestMachineOfAnEarlierProcessOfThePod(t *testing.T) {
	lost := strings.Replace(down("", "ManagerLost"), " Healthy", " Connected=False(ManagerLost) Healthy", 1)
	for name, c := range map[string]struct {
		then func(w *world, r *record.Recorder)
		want string
	}{
		"does-not-come-back": {func(*world, *record.Recorder) {}, lost},
		"comes-back":         {func(w *world, r *record.Recorder) { w.connect(r, "s2", asItIs) }, strings.Replace(machineUp, "s1", "s2", 1)},
		"comes-back-and-others-are-written-first": {func(w *world, r *record.Recorder) {
			w.api.pace(30 * time.Second)
			w.connect(r, "s2", asItIs)
			for range 20 {
				w.pass(5 * time.Second)
				if state := w.api.String(); !strings.Contains(state, "Healthy=True") {
					w.Errorf("it is here, and was taken out:\n%s", state)
				}
			}
			w.api.pace(0)
		}, strings.Replace(machineUp, "s1", "s2", 1)},
		"goes-elsewhere": {func(w *world, _ *record.Recorder) { w.connect(w.replica("pod-1"), "s2", asItIs) },
			strings.Replace(machineUp, "pod-0 by s1", "pod-1 by s2", 1)},
		"cannot-be-written-at-first": {func(w *world, _ *record.Recorder) {
			w.api.refuse("WorkloadEntry")
			w.pass(time.Minute)
			w.api.refuse()
		}, lost},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.connect(w.replica("pod-0"), "s1", asItIs)
				w.stop()
				r := w.restarted("pod-0")
				w.pass(59 * time.Second)
				w.want("for a minute", machineUp)
				c.then(w, r)
				w.pass(time.Minute)
				w.want("after it", c.want)
			})
		})
	}
}

// A restore of the cluster's state brings back what was recorded of a host that has left since: it is out of rotation soon.
func TestStreamOfBeforeARestore(t *testing.T) {
	inWorld(t, func(w *world) {
		w.connect(w.replica("pod-0"), "s1", asItIs)
		saved := w.object()
		w.stop()
		w.restarted("pod-0")
		w.pass(2 * time.Minute)
		lost := strings.Replace(down("", "ManagerLost"), " Healthy", " Connected=False(ManagerLost) Healthy", 1)
		w.want("before", lost)
		object := w.object()
		w.api.change(object, func() { object.Status = saved.Status })
		w.pass(2 * time.Second)
		if w.object().Status.Connection == nil {
			t.Error("agents have no time to come back")
		}
		w.pass(20 * time.Second)
		w.want("after", lost)
	})
}
