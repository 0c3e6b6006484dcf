package converge_test

import (
	"errors"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/plan/plantest"
)

var _ converge.Host = (*plantest.Host)(nil)

func TestConverge_TwiceDoesNothing(t *testing.T) {
	h, want := plantest.New(), plantest.Desired()
	c := converge.Converger{Host: h}
	if _, err := c.Converge(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	before := h.Applied
	result, err := c.Converge(t.Context(), want)
	if err != nil || len(result.Taken) != 0 || h.Applied != before {
		t.Errorf("converging again took %d steps, %v", len(result.Taken), err)
	}
}

func TestConverge_FinishesWhatWasKilled(t *testing.T) {
	whole := plantest.New()
	if _, err := (converge.Converger{Host: whole}).Converge(t.Context(), plantest.Desired()); err != nil {
		t.Fatal(err)
	}
	for after := range whole.Applied {
		h := plantest.New()
		h.KillAfter = after
		c := converge.Converger{Host: h}
		result, err := c.Converge(t.Context(), plantest.Desired())
		step, ok := errors.AsType[*converge.StepError](err)
		if !ok || !errors.Is(err, plantest.ErrKilled) || step.Step.String() != result.Taken[after].Step.String() {
			t.Fatalf("killed after %d steps: %v", after, err)
		}
		h.KillAfter = -1
		if _, err := c.Converge(t.Context(), plantest.Desired()); err != nil {
			t.Fatalf("after being killed after %d steps: %v", after, err)
		}
		if h.String() != whole.String() {
			t.Errorf("killed after %d steps, the host became:\n%s\nwant:\n%s", after, h, whole)
		}
	}
}

func TestConverge_TellsOfSteps(t *testing.T) {
	h := plantest.New()
	var started, finished int
	c := converge.Converger{Host: h, Started: func(plan.Step) { started++ }, Finished: func(converge.Taken) { finished++ }}
	result, err := c.Converge(t.Context(), plantest.Desired())
	if err != nil || started != finished || finished != len(result.Taken) || !result.Observed.Units[plan.SlotA].Ready {
		t.Errorf("started %d, finished %d of %d, %v", started, finished, len(result.Taken), err)
	}
}
