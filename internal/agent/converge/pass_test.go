package converge

import (
	"context"
	"errors"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/plan/plantest"
)

// crashing is a host whose proxy never gets ready while it is broken.
type crashing struct {
	*plantest.Host
	broken bool
}

func (c *crashing) Apply(ctx context.Context, step plan.Step) error {
	if _, awaits := step.(plan.AwaitProxy); awaits && c.broken {
		return errors.New("it crashes")
	}
	return c.Host.Apply(ctx, step)
}

func (c *crashing) crash() {
	c.broken = true
	unit := c.State.Units[plan.SlotA]
	unit.Ready = false
	c.State.Units[plan.SlotA] = unit
}

func TestTrafficPassesAProxyThatCannotRun(t *testing.T) {
	for name, test := range map[string]struct {
		resolver plan.ResolverKind
		policy   hawserv1.Interception_OnProxyFailure
		passes   bool
	}{
		"plain":    {plan.Plain, hawserv1.Interception_ON_PROXY_FAILURE_UNSPECIFIED, true},
		"resolved": {plan.Resolved, hawserv1.Interception_ON_PROXY_FAILURE_UNSPECIFIED, true},
		"held":     {plan.Plain, hawserv1.Interception_ON_PROXY_FAILURE_HOLD, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := &crashing{Host: plantest.New()}
			h.State.Resolver = test.resolver
			want := plantest.Desired()
			want.Interception.OnProxyFailure = test.policy
			c := Converger{Host: h, Contest: &Contest{}}
			if repaired := settle(t, c, want); repaired != "" {
				t.Fatalf("repaired %q", repaired)
			}
			whole := h.String()
			h.crash()
			for range 2 {
				result, err := c.Converge(t.Context(), want)
				if err == nil || result.Passing != test.passes {
					t.Errorf("passing %v, %v", result.Passing, err)
				}
				if led := len(h.State.Interception.Backends) > 0 || h.State.Lookups.Server != ""; led == test.passes {
					t.Errorf("traffic is led to it: %v", led)
				}
			}
			h.broken = false
			result, err := c.Converge(t.Context(), want)
			if err != nil || result.Passing || h.String() != whole {
				t.Errorf("when it serves again: passing %v, %v\n%s", result.Passing, err, h)
			}
			for _, taken := range result.Taken {
				if taken.Repaired != "" {
					t.Errorf("it counts as repaired: %s", taken.Repaired)
				}
			}
		})
	}
}

// An agent that is stopped while it waits changes nothing more.
func TestTrafficIsLeftAloneByAnAgentThatStops(t *testing.T) {
	h := &crashing{Host: plantest.New()}
	want := plantest.Desired()
	c := Converger{Host: h, Contest: &Contest{}}
	settle(t, c, want)
	h.crash()
	before := h.String()
	ctx, cancel := context.WithCancel(t.Context())
	c.Started = func(plan.Step) { cancel() }
	if _, err := c.Converge(ctx, want); err == nil || h.String() != before {
		t.Errorf("%v\n%s", err, h)
	}
}
