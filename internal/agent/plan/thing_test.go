package plan_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/plan/plantest"
)

// changedThings converges a machine, changes it, and returns what the next plan makes right, and of that what must have drifted: what is
// wanted as before.
func changedThings(t *testing.T, h *plantest.Host, change damage) (all, drifted []string) {
	t.Helper()
	want := plantest.Desired()
	converge(t, h, want)
	seen, _ := h.Observe(t.Context(), want)
	placed := plan.Placed(want, seen)
	change(h, want)
	seen, _ = h.Observe(t.Context(), want)
	for _, step := range plan.Compute(want, seen) {
		thing := plan.Thing(step)
		if thing == "" {
			continue
		}
		all = append(all, thing)
		if placed[thing] == plan.Rendering(step) {
			drifted = append(drifted, thing)
		}
	}
	return all, drifted
}

// TestDriftIsToldFromWhatTheHostFollows: all that others change is wanted as before, and what follows a new token, another address or
// other resolvers is not.
func TestDriftIsToldFromWhatTheHostFollows(t *testing.T) {
	for name, change := range driftCases() {
		t.Run(name, func(t *testing.T) {
			all, drifted := changedThings(t, plantest.New(), change)
			if !slices.Equal(all, drifted) || len(all) == 0 && name != "hosts-edited-around-the-block" {
				t.Errorf("planned %q, of that drifted %q", all, drifted)
			}
		})
	}
	for _, name := range []string{"rules-gone", "rules-damaged", "unit-stopped", "drifted-file", "drifted-hosts-file", "wrong-mode", "wrong-owner"} {
		t.Run(name, func(t *testing.T) {
			if all, drifted := changedThings(t, plantest.New(), cases()[name]); len(all) == 0 || !slices.Equal(all, drifted) {
				t.Errorf("planned %q, of that drifted %q", all, drifted)
			}
		})
	}
	if all, drifted := changedThings(t, plantest.NewResolved(), resolvedCases()["resolved-host-lost-its-link"]); len(all) == 0 || !slices.Equal(all, drifted) {
		t.Errorf("lost link: planned %q, of that drifted %q", all, drifted)
	}
	// A proxy that starts again is what it was; a contest decides by what else is in the plan.
	follows := map[string]damage{"new-token-only": cases()["new-token-only"], "new-address-of-the-host": cases()["new-address-of-the-host"],
		"new-upstream-resolver-alone": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Upstream = []byte("search example.com\nnameserver 192.0.2.54\noptions timeout:1\n")
		}}
	for name, change := range follows {
		t.Run(name, func(t *testing.T) {
			all, drifted := changedThings(t, plantest.New(), change)
			drifted = slices.DeleteFunc(drifted, func(thing string) bool { return strings.HasPrefix(thing, "unit ") })
			if len(all) == 0 || len(drifted) > 0 {
				t.Errorf("planned %q, of that drifted %q", all, drifted)
			}
		})
	}
}

func TestWithout(t *testing.T) {
	unit, rules := plan.SlotA.Unit(), plan.Rules{Backend: plan.NFTables}
	steps := []plan.Step{
		plan.CreateAccount{}, plan.MakeDirectory{Path: "/d"}, plan.WriteFile{Path: "/d/f"}, plan.WriteFile{Path: "/dd/f"}, plan.ReloadUnits{},
		plan.StartProxy{Slot: plan.SlotA}, plan.AwaitProxy{Slot: plan.SlotA}, plan.Intercept{Rules: rules}, plan.ConfirmInterception{Rules: rules},
		plan.RouteLookups{}, plan.RemoveVersion{},
	}
	for _, c := range []struct{ not, left string }{
		{"nothing", ""},
		{"/dd/f", "/dd/f"},
		{"/d", "/d, /d/f"},
		{"traffic rules", "traffic rules, confirm"},
		{"unit " + unit, "unit " + unit + ", wait, traffic rules, confirm, lookups of cluster names"},
		{"user istio-proxy", "user istio-proxy, unit " + unit + ", wait, traffic rules, confirm, lookups of cluster names"},
	} {
		take, left := plan.Without(steps, func(step plan.Step) bool { return plan.Thing(step) == c.not })
		var names []string
		for _, step := range left {
			name := plan.Thing(step)
			if name == "" {
				name, _, _ = strings.Cut(step.String(), " ")
			}
			names = append(names, name)
		}
		if got := strings.Join(names, ", "); got != c.left || len(take)+len(left) != len(steps) {
			t.Errorf("without %s: %d taken, left %q, want %q", c.not, len(take), got, c.left)
		}
	}
}

// TestUnitIsThePackages: the unit that is written where the package's is gone is the package's.
func TestUnitIsThePackages(t *testing.T) {
	packaged, err := os.ReadFile("../../../packaging/systemd/hawser-proxy@.service")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("hawser-proxy@.service")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packaged, own) {
		t.Error("internal/agent/plan/hawser-proxy@.service is not packaging/systemd/hawser-proxy@.service: copy it")
	}
}
