package record

import (
	"time"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// loss are the machines of a replica that is not there. Most have come to another one, which writes that of one after the other; if they are thousands,
// it waits until no more come, and writes for a minute or two. They must not be taken for lost meanwhile.
type loss struct {
	// most that there were, left of them, and moved, when there were fewer than before.
	most, left int
	moved      time.Time
}

// stillMoving is how long after the last machine that was written to have come to another replica the next one may be.
const stillMoving = 3 * time.Second

// over is when what is left has to be taken for lost, which would be so at a time if it were alone.
func (l loss) over(alone time.Time) time.Time {
	due := alone.Add(time.Duration(l.most) * holdEach)
	if next := l.moved.Add(stillMoving); next.After(due) {
		return next
	}
	return due
}

// losses are those of this round.
func (r *Reaper) losses(this round, machines []v1alpha1.Machine) map[string]loss {
	losses := map[string]loss{}
	for i := range machines {
		if r.lost(this, &machines[i]) {
			manager := machines[i].Status.Connection.Manager
			l := losses[manager]
			l.left++
			losses[manager] = l
		}
	}
	for manager, l := range losses {
		before, known := r.last.losses[manager]
		l.most, l.moved = max(l.left, before.most), before.moved
		if !known || l.left < before.left {
			l.moved = this.now
		}
		losses[manager] = l
	}
	return losses
}
