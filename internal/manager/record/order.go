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

// A change of the mesh reaches 10,000 machines in a second or two, and they come to a manager that was restarted within half a minute, if the API
// server and this process are not busy with writing at the same time what the first of them make of it. Agents whose pings are not answered would
// come once more, and be written once more. So what is routine, and who has come, waits until no more of it happens for a while; what a machine was
// sent and that it applied it are one write then. Fewer than a hundred machines wait for nothing, and a few among thousands do not prolong the wait.
const (
	lullEach = 100 * time.Microsecond
	lullStep = 10 * time.Millisecond
	maxLull  = time.Second
	// many is the share of machines whose news prolong the wait, 1/many.
	many = 200
	// Nobody waits for longer than holdEach for each machine, or minHold.
	holdEach = 2 * time.Millisecond
	minHold  = 5 * time.Second
)

// hold are machines with something to write, while more of the kind happens.
type hold struct {
	urgency  urgency
	machines map[types.NamespacedName]struct{}
	since    time.Time
	over     *time.Timer
}

func newHold(u urgency) *hold {
	return &hold{urgency: u, machines: map[types.NamespacedName]struct{}{}}
}

func (h *hold) has(machine types.NamespacedName) bool {
	_, held := h.machines[machine]
	return held
}

// lull is for the recorder's mu.
func (r *Recorder) lull() time.Duration {
	return min(time.Duration(len(r.entries))*lullEach, maxLull).Truncate(lullStep)
}

// later has a machine written in the next lull. It is for the recorder's mu.
func (r *Recorder) later(h *hold, machine types.NamespacedName) {
	lull := r.lull()
	if lull == 0 {
		r.enqueue(machine, h.urgency, 0)
		return
	}
	first := len(h.machines) == 0
	if first {
		h.since = time.Now()
	}
	h.machines[machine] = struct{}{}
	if !first && len(h.machines) <= len(r.entries)/many {
		return
	}
	longest := max(time.Duration(len(r.entries))*holdEach, minHold)
	wait := min(lull, longest-time.Since(h.since))
	if h.over == nil {
		h.over = time.AfterFunc(wait, func() { r.letGo(h) })
		return
	}
	h.over.Reset(wait)
}

// letGo has all written that was held.
func (r *Recorder) letGo(h *hold) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for machine := range h.machines {
		r.enqueue(machine, h.urgency, 0)
	}
	clear(h.machines)
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
