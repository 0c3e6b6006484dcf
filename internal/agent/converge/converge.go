// Package converge makes a host what is desired: it observes, plans and applies until the plan is empty. In comes a desired state,
// out comes what was done. It neither decides nor acts itself, and it does not repeat by itself what failed: the caller
// knows when.
package converge

import (
	"context"
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
	// Err says why it failed; it is the last then.
	Err error
}

// Result is what one Converge did.
type Result struct {
	// Observed is the host after the last step; before the failed one, if one failed.
	Observed plan.Observed
	// Taken are the steps in order.
	Taken []Taken
	// Remaining are steps of the last plan that were not taken.
	Remaining []plan.Step
}

// Converger converges one host. The zero values of the optional fields do nothing.
type Converger struct {
	Host Host
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

// rounds is how often the host may still differ after all steps were taken: something undid them meanwhile, once perhaps.
const rounds = 3

// Converge returns when the host is what is wanted, or at the first error. Calling it for a host that is so already changes
// nothing and takes no step.
func (c Converger) Converge(ctx context.Context, want *hawserv1.DesiredState) (Result, error) {
	var result Result
	for range rounds {
		have, err := c.Host.Observe(ctx, want)
		if err != nil {
			return result, err
		}
		result.Observed = have
		if c.Looked != nil {
			c.Looked(have)
		}
		result.Remaining = plan.Compute(want, have)
		if len(result.Remaining) == 0 {
			return result, nil
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
	for len(result.Remaining) > 0 {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		step := result.Remaining[0]
		if c.Started != nil {
			c.Started(step)
		}
		taken := Taken{Step: step, Started: time.Now()}
		taken.Err = c.Host.Apply(ctx, step)
		taken.Finished = time.Now()
		result.Taken = append(result.Taken, taken)
		if c.Finished != nil {
			c.Finished(taken)
		}
		if taken.Err != nil {
			return &StepError{Step: step, Err: taken.Err}
		}
		result.Remaining = result.Remaining[1:]
	}
	return nil
}
