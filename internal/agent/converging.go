package agent

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// Restorable is the host as it can be converged and put back; host.Host is one.
type Restorable interface {
	converge.Host
	Restore(ctx context.Context) error
}

// Converging is a Machine by way of plans.
type Converging struct {
	host Restorable
	// root is put before the path of every file; empty on a real machine.
	root string
	// contest tells what others change, from one Converge to the next.
	contest converge.Contest
	// passing: the last Converge ended with a proxy that does not serve, and the traffic taken from it. It is so while the next one waits for it.
	passing bool
}

var _ Machine = (*Converging)(nil)

// NewConverging returns the machine that host is.
func NewConverging(host Restorable, root string) *Converging {
	return &Converging{host: host, root: root}
}

// Converge observes, plans and applies. Steps that a person would not miss are not told.
func (c *Converging) Converge(ctx context.Context, want *hawserv1.DesiredState, tell Teller) error {
	var began time.Time
	converger := converge.Converger{
		Host:    c.host,
		Contest: &c.contest,
		Looked:  func(have plan.Observed) { tell.Found(c.outcomeOf(want, have)) },
		Started: func(step plan.Step) {
			began = time.Now()
			if name := stepName(step); name != "" {
				tell.Changes(report.Step{Name: name, Started: began})
			}
		},
		Finished: func(taken converge.Taken) {
			if taken.Repaired != "" {
				tell.Repaired(taken.Repaired)
			}
			name := stepName(taken.Step)
			if name == "" && taken.Err != nil {
				name = taken.Step.String()
			}
			if name != "" {
				tell.Changes(report.Step{Name: name, Started: began, Finished: taken.Finished, Error: text(taken.Err)})
			}
		},
	}
	result, err := converger.Converge(ctx, want)
	if c.passing = result.Passing; c.passing {
		tell.Found(c.outcomeOf(want, result.Observed))
	}
	tell.Contested(contested(c.contest.Left(time.Now())))
	if err != nil {
		return explained(err)
	}
	return nil
}

// Look observes, and no more.
func (c *Converging) Look(ctx context.Context, want *hawserv1.DesiredState, tell Teller) error {
	have, err := c.host.Observe(ctx, want)
	if err != nil {
		return explained(err)
	}
	tell.Found(c.outcomeOf(want, have))
	return nil
}

func contested(left []converge.Left) []report.Contested {
	var list []report.Contested
	for _, l := range left {
		list = append(list, report.Contested{Thing: l.Thing, Refused: l.Refused, Until: l.Until})
	}
	return list
}

// Restore puts the host back.
func (c *Converging) Restore(ctx context.Context) error { return c.host.Restore(ctx) }

// Token reads the Istio token of whichever slot has the one that lasts longer.
func (c *Converging) Token() *hawserv1.IstioToken {
	var found *hawserv1.IstioToken
	for _, slot := range []plan.Slot{plan.SlotA, plan.SlotB} {
		content, err := os.ReadFile(filepath.Join("/", c.root, slot.TokenFile()))
		if err != nil {
			continue
		}
		if expiry := claimsOf(string(content)).Expiry; expiry > found.GetExpiry() {
			found = &hawserv1.IstioToken{Token: string(content), Expiry: expiry}
		}
	}
	return found
}

func (c *Converging) outcomeOf(want *hawserv1.DesiredState, have plan.Observed) Outcome {
	outcome := Outcome{
		Interception: report.Interception{
			Wanted:  want.GetInterception().GetMode() == hawserv1.Interception_MODE_REDIRECT,
			Passing: c.passing && plan.Passes(want, have),
		},
		Watched: plan.Watched(want, have),
		Former:  len(plan.Former(want, have)) > 0,
	}
	slot := plan.ActiveSlot(have)
	if unit := have.Units[slot]; unit.Active {
		outcome.Proxy = report.Proxy{Slot: string(slot), Ready: unit.Ready, Outdated: plan.RestartRequired(want, have), Retiring: string(plan.Retiring(have)), Gaps: plan.Gaps(want, have)}
		if path.Base(have.Files[slot.Link()].Target) == plan.Digest(want) {
			outcome.Proxy.Version, outcome.Proxy.ImageDigest = want.GetProxy().GetVersion(), want.GetProxy().GetImageDigest()
		}
	}
	rules := have.Interception
	if slices.Contains(rules.Backends, have.Backend) && rules.Whole && !rules.Armed {
		outcome.Interception.Active, outcome.Interception.Backend = true, string(have.Backend)
	}
	if way := plan.DNSWay(want, have); way != plan.NoLookups {
		outcome.DNS = report.DNS{Way: string(way), SearchDomains: want.GetDns().GetSearchDomains()}
	}
	return outcome
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
