// Package converge makes a host what is desired: it observes, plans and applies until the plan is empty. In comes a desired state,
// out comes what was done. What somebody on the host undoes again and again it leaves alone for a while. It neither decides nor acts itself, and it does not repeat by itself what failed: the caller
// knows when.
package converge

import (
	"context"
	"errors"
	"fmt"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// Host is what converges; host.Host is one.
type Host interface {
	Observe(ctx context.Context, want *hawserv1.DesiredState) (plan.Observed, error)
	// Record makes known, durably, what steps are going to change.
	Record(ctx context.Context, steps ...plan.Step) error
	Apply(ctx context.Context, step plan.Step) error
}

// Taken is one step that was taken, or tried.
type Taken struct {
	Step              plan.Step
	Started, Finished time.Time
	// Repaired is what it put right, empty if it followed a change of what is wanted; see plan.Thing.
	Repaired string
	// Err says why it failed; it is the last then, unless that can be left alone.
	Err error
}

// Result is what one Converge did.
type Result struct {
	// Observed is the host after the last step; before the failed one, if one failed.
	Observed plan.Observed
	// Taken are the steps in order.
	Taken []Taken
	// Remaining are steps of the last plan that were not taken; those that were left alone are not among them.
	Remaining []plan.Step
	// Passing: the proxy does not serve, and the host's traffic passes without it.
	Passing bool
}

// Converger converges one host. The zero values of the optional fields do nothing.
type Converger struct {
	Host Host
	// Contest lasts from one Converge to the next; optional.
	Contest *Contest
	// Looked is told what the host is, after each look at it and before anything is done to it; optional.
	Looked func(plan.Observed)
	// Started and Finished are told of each step; optional.
	Started  func(step plan.Step)
	Finished func(taken Taken)
}

// StepError is a step that failed. The host is between two states: converging again goes on from there.
type StepError struct {
	Step plan.Step
	Err  error
}

func (e *StepError) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }

func (e *StepError) Unwrap() error { return e.Err }

// rounds is how often steps are taken: once, and as often as a thing is repaired before it counts as contested. What is left then are
// plans that never end.
const rounds = 1 + Times

// Converge returns when the host is what is wanted, or at the first error. Calling it for a host that is so already changes
// nothing and takes no step. If the proxy does not serve in the end, the host's traffic passes without it, unless a policy has it held.
func (c Converger) Converge(ctx context.Context, want *hawserv1.DesiredState) (Result, error) {
	if c.Contest == nil {
		c.Contest = &Contest{}
	}
	result, err := c.converge(ctx, want)
	if ctx.Err() != nil {
		return result, err
	}
	if failed := c.pass(ctx, want, &result, err != nil); failed != nil {
		err = errors.Join(err, failed)
	}
	return result, err
}

// pass takes the host's traffic from a proxy that does not serve. stale: the host may not be what it was observed to be last.
func (c Converger) pass(ctx context.Context, want *hawserv1.DesiredState, result *Result, stale bool) error {
	if stale {
		have, err := c.Host.Observe(ctx, want)
		if err != nil {
			return err
		}
		result.Observed = have
	}
	if steps := plan.Pass(want, result.Observed); len(steps) > 0 {
		passing := Result{Remaining: steps}
		err := c.take(ctx, &passing)
		result.Taken = append(result.Taken, passing.Taken...)
		if err != nil {
			return err
		}
		have, err := c.Host.Observe(ctx, want)
		if err != nil {
			return err
		}
		result.Observed = have
	}
	result.Passing = plan.Passes(want, result.Observed)
	return nil
}

func (c Converger) converge(ctx context.Context, want *hawserv1.DesiredState) (Result, error) {
	var result Result
	c.Contest.begin(want.GetGeneration())
	for round := 0; ; round++ {
		have, err := c.Host.Observe(ctx, want)
		if err != nil {
			return result, err
		}
		result.Observed = have
		if c.Looked != nil {
			c.Looked(have)
		}
		steps := plan.Compute(want, have)
		result.Remaining, _ = c.Contest.judge(steps, time.Now())
		if len(result.Remaining) == 0 {
			c.Contest.placed = plan.Placed(want, have)
			return result, nil
		}
		if round == rounds {
			break
		}
		if err := c.take(ctx, &result); err != nil {
			return result, err
		}
	}
	return result, fmt.Errorf("the host still differs after %d rounds, the last step was: %s; something on the host undoes it", rounds, result.Taken[len(result.Taken)-1].Step)
}

func (c Converger) take(ctx context.Context, result *Result) error {
	if err := c.Host.Record(ctx, result.Remaining...); err != nil {
		return err
	}
	follows := c.Contest.follows(result.Remaining)
	for len(result.Remaining) > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		step := result.Remaining[0]
		if c.Started != nil {
			c.Started(step)
		}
		taken := Taken{Step: step, Started: time.Now()}
		drifted := c.Contest.drifted(step, follows)
		taken.Err = c.Host.Apply(ctx, step)
		taken.Finished = time.Now()
		if taken.Err == nil {
			taken.Repaired = c.Contest.taken(step, drifted, taken.Finished)
		}
		result.Taken = append(result.Taken, taken)
		if c.Finished != nil {
			c.Finished(taken)
		}
		if taken.Err != nil && c.Contest.refused(step, taken.Err, drifted, taken.Finished) {
			result.Remaining, _ = plan.Without(result.Remaining, func(other plan.Step) bool { return plan.Thing(other) == plan.Thing(step) })
			continue
		}
		if taken.Err != nil {
			return &StepError{Step: step, Err: taken.Err}
		}
		result.Remaining = result.Remaining[1:]
	}
	return nil
}
