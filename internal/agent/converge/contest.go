package converge

import (
	"errors"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/agent/plan"
)

const (
	// Window is how long a repair counts, Times how often a thing is repaired in it. What then comes back once more is contested.
	Window = 10 * time.Minute
	Times  = 3
	// Rest is how long a contested thing is left alone, unless another state is desired meanwhile or the agent is started anew.
	Rest = 10 * time.Minute
	// RestRefused is that of what the kernel does not let anybody change: whoever put that right need not wait long.
	RestRefused = 30 * time.Second
)

// Repair is one thing that was put right.
type Repair struct {
	Thing string
	At    time.Time
}

// Left is a thing that is left alone until a time.
type Left struct {
	Thing string
	// Refused is why it cannot be changed; empty if it was changed, again and again.
	Refused string
	Until   time.Time
}

// Past is what decides whether a thing is contested. It is a value: its methods return another one.
type Past struct {
	Repairs []Repair
	Left    []Left
}

// decide splits steps into those to take now and those to leave alone, and returns the past with what is contested from now on. drifted
// tells the steps that repair; what follows a change of what is wanted is never left.
func decide(steps []plan.Step, drifted func(plan.Step) bool, past Past, now time.Time) (take, left []plan.Step, next Past) {
	next = past.since(now)
	take, left = plan.Without(steps, func(step plan.Step) bool {
		thing := plan.Thing(step)
		if await, ok := step.(plan.AwaitProxy); ok {
			// Nobody waits for what is left alone.
			return next.leaves(plan.Thing(plan.StartProxy(await)))
		}
		if thing == "" || !drifted(step) {
			return false
		}
		if next.leaves(thing) {
			return true
		}
		if next.times(thing) < Times {
			return false
		}
		next = next.leave(Left{Thing: thing, Until: now.Add(Rest)})
		return true
	})
	return take, left, next
}

// since forgets what is over by now. A thing that was left alone long enough starts anew.
func (p Past) since(now time.Time) Past {
	over := map[string]bool{}
	var next Past
	for _, left := range p.Left {
		if now.Before(left.Until) {
			next.Left = append(next.Left, left)
		} else {
			over[left.Thing] = true
		}
	}
	for _, repair := range p.Repairs {
		if now.Sub(repair.At) < Window && !over[repair.Thing] {
			next.Repairs = append(next.Repairs, repair)
		}
	}
	return next
}

func (p Past) leaves(thing string) bool {
	return slices.ContainsFunc(p.Left, func(left Left) bool { return left.Thing == thing })
}

func (p Past) times(thing string) int {
	n := 0
	for _, repair := range p.Repairs {
		if repair.Thing == thing {
			n++
		}
	}
	return n
}

func (p Past) leave(left Left) Past {
	return Past{Repairs: p.Repairs, Left: append(slices.Clip(p.Left), left)}
}

func (p Past) repaired(thing string, now time.Time) Past {
	return Past{Repairs: append(slices.Clip(p.Repairs), Repair{thing, now}), Left: p.Left}
}

// Contest tells drift from what a host follows, and keeps track of who wins. The zero value is ready. It is used by one Converge at a
// time.
type Contest struct {
	past       Past
	generation string
	// placed is what was put on the host for the generation; nil while nothing was.
	placed map[string]string
}

// begin forgets all when another state is desired.
func (c *Contest) begin(generation string) {
	if c.generation != generation {
		*c = Contest{generation: generation}
	}
}

// judge splits the steps of a plan. A proxy that restarts with something that it follows does not drift.
func (c *Contest) judge(steps []plan.Step, now time.Time) (take, left []plan.Step) {
	follows := c.follows(steps)
	drifted := func(step plan.Step) bool { return c.drifted(step, follows) }
	take, left, c.past = decide(steps, drifted, c.past, now)
	return take, left
}

// follows reports whether one of the steps does something new.
func (c *Contest) follows(steps []plan.Step) bool {
	return slices.ContainsFunc(steps, func(step plan.Step) bool { return plan.Thing(step) != "" && !c.same(step) })
}

func (c *Contest) same(step plan.Step) bool {
	return c.placed[plan.Thing(step)] == plan.Rendering(step)
}

func (c *Contest) drifted(step plan.Step, follows bool) bool {
	if _, restarts := step.(plan.RestartProxy); restarts && follows {
		return false
	}
	return c.same(step)
}

// taken notes a step, and returns the thing that it repaired, if it did.
func (c *Contest) taken(step plan.Step, drifted bool, now time.Time) (repaired string) {
	thing := plan.Thing(step)
	if thing == "" {
		return ""
	}
	if c.placed == nil {
		c.placed = map[string]string{}
	}
	c.placed[thing] = plan.Rendering(step)
	if !drifted {
		return ""
	}
	c.past = c.past.repaired(thing, now)
	return thing
}

// refused leaves alone what the kernel does not let be changed, and returns whether it is left.
func (c *Contest) refused(step plan.Step, err error, drifted bool, now time.Time) bool {
	var immutable interface{ Immutable() string }
	if !drifted || !errors.As(err, &immutable) {
		return false
	}
	c.past = c.past.leave(Left{Thing: plan.Thing(step), Refused: immutable.Immutable(), Until: now.Add(RestRefused)})
	return true
}

// Left are the things that are left alone by now.
func (c *Contest) Left(now time.Time) []Left { return c.past.since(now).Left }
