package record

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// urgency orders machines that wait to be written: a change of the mesh makes thousands wait, for seconds, and what callers depend on must not
// wait for what people read.
type urgency int

const (
	// routine is what a machine was sent, and that it applied it.
	routine urgency = iota
	// ordinary is all else.
	ordinary
	// health is whether, where and as whom the machine takes traffic.
	health
	// goHome is no machine's: a worker that gets it ends.
	goHome
)

// A change of the mesh reaches 10,000 machines in a second or two, if the API server and this process are not busy with writing at the same time
// what the first of them make of it. So what is routine waits until nothing routine happened for a while, and what a machine was sent and that
// it applied it are one write. Fewer than a hundred machines wait for nothing, and nobody waits for longer than maxHold.
const (
	lullEach = 100 * time.Microsecond
	lullStep = 10 * time.Millisecond
	maxLull  = time.Second
	maxHold  = 5 * time.Second
)

// hold are the machines with something routine to write, while more of it happens.
type hold struct {
	machines map[types.NamespacedName]struct{}
	since    time.Time
	over     *time.Timer
}

// lull is for the recorder's mu.
func (r *Recorder) lull() time.Duration {
	return min(time.Duration(len(r.entries))*lullEach, maxLull).Truncate(lullStep)
}

// later has something routine written in the next lull. It is for the recorder's mu.
func (r *Recorder) later(machine types.NamespacedName) {
	lull := r.lull()
	if lull == 0 {
		r.enqueue(machine, routine, 0)
		return
	}
	if len(r.hold.machines) == 0 {
		r.hold.since = time.Now()
	}
	r.hold.machines[machine] = struct{}{}
	wait := min(lull, maxHold-time.Since(r.hold.since))
	if r.hold.over == nil {
		r.hold.over = time.AfterFunc(wait, r.letGo)
		return
	}
	r.hold.over.Reset(wait)
}

// letGo has all written that was held.
func (r *Recorder) letGo() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for machine := range r.hold.machines {
		r.enqueue(machine, routine, 0)
	}
	clear(r.hold.machines)
}

func (r *Recorder) enqueue(machine types.NamespacedName, u urgency, after time.Duration) {
	priority := int(u)
	r.queue.AddWithOpts(priorityqueue.AddOpts{Priority: &priority, After: after}, machine)
}

// again has a write that failed tried again, no less urgently.
func (r *Recorder) again(machine types.NamespacedName, priority int) {
	r.queue.AddWithOpts(priorityqueue.AddOpts{Priority: &priority, RateLimited: true}, machine)
}

// urgencyOf a report, by what it changes.
func urgencyOf(before, after *hawserv1.Report) urgency {
	if before.GetHealthy() != after.GetHealthy() || before.GetDraining() != after.GetDraining() ||
		before.GetProxy().GetReady() != after.GetProxy().GetReady() || before.GetAddress() != after.GetAddress() ||
		!slices.Equal(before.GetAddresses(), after.GetAddresses()) {
		return health
	}
	return routine
}

// concerned tells whether newer facts may make another record of a machine. Status and entry follow from its group and the policies of its
// namespace; of all else the desired state follows, which is told by Decide.
func concerned(machine types.NamespacedName, before, now facts.Facts) bool {
	known, ok := now.Machines[machine]
	if !ok {
		return true
	}
	was, existed := before.Groups[known.GroupKey()]
	is, exists := now.Groups[known.GroupKey()]
	return existed != exists || was.UID != is.UID || was.Spec != is.Spec || !slices.Equal(before.Policies[machine.Namespace], now.Policies[machine.Namespace])
}
