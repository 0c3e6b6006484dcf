package converge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/plan/plantest"
)

func TestDecide(t *testing.T) {
	now := time.Unix(1e9, 0)
	hosts, mesh := plan.WriteFile{Path: "/etc/hosts", Block: true}, plan.WriteFile{Path: "/mesh"}
	start, await := plan.StartProxy{Slot: plan.SlotA}, plan.AwaitProxy{Slot: plan.SlotA}
	rules, confirm := plan.Intercept{}, plan.ConfirmInterception{}
	repaired := func(thing string, ages ...time.Duration) (repairs []Repair) {
		for _, age := range ages {
			repairs = append(repairs, Repair{thing, now.Add(-age)})
		}
		return repairs
	}
	left := func(thing string, ends time.Duration) []Left { return []Left{{Thing: thing, Until: now.Add(ends)}} }
	unit := plan.Thing(start)
	for _, c := range []struct {
		name    string
		steps   []plan.Step
		follows string // things that do not drift
		past    Past
		take    string
		left    string
		rests   string // what is left alone from now on
	}{
		{"nothing", nil, "", Past{}, "", "", ""},
		{"first time", []plan.Step{hosts}, "", Past{}, "/etc/hosts", "", ""},
		{"third time", []plan.Step{hosts}, "", Past{Repairs: repaired("/etc/hosts", 2, 1)}, "/etc/hosts", "", ""},
		{"came back three times", []plan.Step{hosts, mesh}, "", Past{Repairs: repaired("/etc/hosts", 3, 2, 1)}, "/mesh", "/etc/hosts", "/etc/hosts 10m0s"},
		{"not within the window", []plan.Step{hosts}, "", Past{Repairs: repaired("/etc/hosts", Window, 2, 1)}, "/etc/hosts", "", ""},
		{"another thing's repairs", []plan.Step{mesh}, "", Past{Repairs: repaired("/etc/hosts", 3, 2, 1)}, "/mesh", "", ""},
		{"left alone", []plan.Step{hosts, mesh}, "", Past{Left: left("/etc/hosts", time.Second)}, "/mesh", "/etc/hosts", "/etc/hosts 1s"},
		{"left alone long enough", []plan.Step{hosts}, "", Past{Left: left("/etc/hosts", 0), Repairs: repaired("/etc/hosts", 3, 2, 1)}, "/etc/hosts", "", ""},
		{"what is wanted has changed", []plan.Step{hosts}, "/etc/hosts", Past{Left: left("/etc/hosts", time.Second)}, "/etc/hosts", "", "/etc/hosts 1s"},
		{"left and not planned", []plan.Step{mesh}, "", Past{Left: left("/etc/hosts", time.Second)}, "/mesh", "", "/etc/hosts 1s"},
		{"rules are contested", []plan.Step{mesh, rules, confirm}, "", Past{Repairs: repaired("traffic rules", 3, 2, 1)}, "/mesh", "traffic rules, confirm interception: manager and SSH are within reach", "traffic rules 10m0s"},
		{"a switch that is armed is not the rules", []plan.Step{confirm}, "", Past{Left: left("traffic rules", 1)}, "confirm interception: manager and SSH are within reach", "", "traffic rules 1ns"},
		{"no rules lead to a proxy that is left alone", []plan.Step{start, await, rules, confirm}, "", Past{Repairs: repaired(unit, 3, 2, 1)},
			"", unit + ", wait for proxy in slot a to be ready, traffic rules, confirm interception: manager and SSH are within reach", unit + " 10m0s"},
		{"nobody waits for a proxy that is left alone", []plan.Step{await, rules}, "", Past{Left: left(unit, time.Second)}, "", "wait for proxy in slot a to be ready, traffic rules", unit + " 1s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			take, spared, next := decide(c.steps, func(step plan.Step) bool { return plan.Thing(step) != c.follows }, c.past, now)
			var rests []string
			for _, left := range next.Left {
				rests = append(rests, fmt.Sprint(left.Thing, " ", left.Until.Sub(now)))
			}
			if names(take) != c.take || names(spared) != c.left || strings.Join(rests, ", ") != c.rests {
				t.Errorf("take %q, left %q, rests %q", names(take), names(spared), rests)
			}
		})
	}
}

func names(steps []plan.Step) string {
	var list []string
	for _, step := range steps {
		name := plan.Thing(step)
		if name == "" {
			name = step.String()
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// fought is a host on which somebody undoes a step right after it was taken.
type fought struct {
	*plantest.Host
	undo func(h *plantest.Host, step plan.Step) error
}

func (f fought) Apply(ctx context.Context, step plan.Step) error {
	if err := f.Host.Apply(ctx, step); err != nil {
		return err
	}
	return f.undo(f.Host, step)
}

func loseBlock(h *plantest.Host, step plan.Step) error {
	if write, ok := step.(plan.WriteFile); ok && write.Path == plan.HostsFile {
		h.State.Files[plan.HostsFile] = plan.File{Mode: 0o644, Owner: plan.Root, Content: []byte("127.0.0.1 localhost\n")}
	}
	return nil
}

// settle converges and returns what was repaired.
func settle(t *testing.T, c Converger, want *hawserv1.DesiredState) string {
	t.Helper()
	result, err := c.Converge(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	var repaired []string
	for _, taken := range result.Taken {
		if taken.Repaired != "" {
			repaired = append(repaired, taken.Repaired)
		}
	}
	return strings.Join(repaired, ", ")
}

func leftNow(c Converger) []string {
	var things []string
	for _, left := range c.Contest.Left(time.Now()) {
		things = append(things, left.Thing+left.Refused)
	}
	return things
}

// A thing that is undone at once is given up within one Converge, at a join as well as later; all else is as wanted.
func TestWhatIsUndoneAtOnceIsContested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plantest.New()
		c := Converger{Host: fought{h, loseBlock}, Contest: &Contest{}}
		want := plantest.Desired()
		if repaired := settle(t, c, want); repaired != "/etc/hosts, /etc/hosts, /etc/hosts" || !slices.Equal(leftNow(c), []string{"/etc/hosts"}) {
			t.Errorf("repaired %q, left %q", repaired, leftNow(c))
		}
		h.State.Interception = plan.Interception{}
		if repaired := settle(t, c, want); repaired != "traffic rules" || !h.State.Interception.Whole {
			t.Errorf("beside what is contested: repaired %q", repaired)
		}
		time.Sleep(Rest)
		if repaired := settle(t, c, want); repaired != "/etc/hosts, /etc/hosts, /etc/hosts" {
			t.Errorf("after the rest: repaired %q", repaired)
		}
		want.Generation = "2"
		c.Host = h
		if repaired := settle(t, c, want); repaired != "" || len(leftNow(c)) > 0 || !strings.Contains(h.String(), "istiod.istio-system.svc\n") {
			t.Errorf("another state: repaired %q, left %q\n%s", repaired, leftNow(c), h)
		}
	})
}

// What comes back now and then is repaired three times, and then left; what the first Converge does is not a repair.
func TestWhatComesBackIsContested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plantest.New()
		c := Converger{Host: h, Contest: &Contest{}}
		want := plantest.Desired()
		if repaired := settle(t, c, want); repaired != "" {
			t.Errorf("the join repaired %q", repaired)
		}
		for n := range Times {
			h.State.Interception.Whole = false
			if repaired := settle(t, c, want); repaired != "traffic rules" {
				t.Errorf("time %d: repaired %q", n, repaired)
			}
			time.Sleep(time.Minute)
		}
		h.State.Interception.Whole = false
		if repaired := settle(t, c, want); repaired != "" || !slices.Equal(leftNow(c), []string{"traffic rules"}) || h.State.Interception.Whole {
			t.Errorf("repaired %q, left %q", repaired, leftNow(c))
		}
		// A fresh token is no drift, and is put where it belongs.
		want.Token.Token = "another token"
		if repaired := settle(t, c, want); repaired != "" || string(h.State.Files[plan.SlotA.TokenFile()].Content) != "another token" {
			t.Errorf("the token: repaired %q", repaired)
		}
	})
}

type immutable struct{ error }

func (immutable) Immutable() string { return ": chattr -i it" }

// A file that the kernel refuses to change does not hold up the rest; it is tried again soon, and at a join it is an error.
func TestWhatIsRefusedIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := plantest.New()
		refuse := func(h *plantest.Host, step plan.Step) error {
			if plan.Thing(step) == plan.HostsFile {
				_ = loseBlock(h, step)
				return immutable{errors.New("EPERM")}
			}
			return nil
		}
		want := plantest.Desired()
		c := Converger{Host: fought{h, refuse}, Contest: &Contest{}}
		if _, err := c.Converge(t.Context(), want); err == nil {
			t.Error("a join goes on without the control plane's names")
		}
		c.Host = h
		settle(t, c, want)
		h.State.Files[plan.HostsFile] = plan.File{Mode: 0o644, Owner: plan.Root}
		h.State.Interception = plan.Interception{}
		c.Host = fought{h, refuse}
		if repaired := settle(t, c, want); repaired != "traffic rules" || !slices.Equal(leftNow(c), []string{"/etc/hosts: chattr -i it"}) {
			t.Errorf("repaired %q, left %q", repaired, leftNow(c))
		}
		c.Host = h
		time.Sleep(RestRefused)
		if repaired := settle(t, c, want); repaired != "/etc/hosts" || len(leftNow(c)) > 0 {
			t.Errorf("repaired %q, left %q", repaired, leftNow(c))
		}
	})
}
