//go:build e2e

package e2e

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	// settling is how long a state has to stay the desired one to be all of a change, which may be of several objects.
	settling = time.Second
	// completing bounds a change whose agent was killed on the way.
	completing = 40 * time.Second
)

// generation is of the state that a machine is to have, and of that which it has; current is what its condition says.
type generation struct{ desired, applied, current string }

// generations follows those of some machines; since is when another state became the desired one of any of them.
type generations struct {
	machines []string
	told     <-chan map[string]generation
	now      map[string]generation
	since    time.Time
}

// followGenerations follows them until the scenario ends.
func followGenerations(ts *testscript.TestScript, machines []string) *generations {
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan map[string]generation), make(chan struct{})
	ts.Defer(func() { cancel(); <-ended })
	argv, separator, _ := following("kubectl", []string{"get", "machines", "-n", "shop", "--no-headers", "-o",
		`custom-columns=NAME:.metadata.name,DESIRED:.status.desiredGeneration,APPLIED:.status.appliedGeneration,CURRENT:.status.conditions[?(@.type=="ConfigCurrent")].status`})
	all := records(ctx, ts, "kubectl", argv, separator)
	go func() {
		defer close(ended)
		defer close(told)
		now := map[string]generation{}
		for record := range all {
			if fields := strings.Fields(record); len(fields) == 4 {
				now[fields[0]] = generation{fields[1], fields[2], fields[3]}
			}
			select {
			case told <- maps.Clone(now):
			case <-ctx.Done():
			}
		}
	}()
	return &generations{machines: machines, told: told, since: time.Now()}
}

// await waits until the machines have the states that are theirs, other ones than before if that is given, and these stay theirs.
func (g *generations) await(ts *testscript.TestScript, before map[string]generation) map[string]generation {
	limit := time.After(completing)
	for {
		var settled <-chan time.Time
		if g.current(before) {
			settled = time.After(time.Until(g.since.Add(settling)))
		}
		select {
		case now, open := <-g.told:
			if !open {
				ts.Fatalf("the cluster tells no more of machines")
			}
			if !g.same(now) {
				g.since = time.Now()
			}
			g.now = now
		case <-settled:
			return g.now
		case <-limit:
			ts.Fatalf("%s: not current within %s: %+v, before %+v", strings.Join(g.machines, ", "), completing, g.now, before)
		}
	}
}

// same is whether machines are to have now what they were to have when that was told last.
func (g *generations) same(now map[string]generation) bool {
	for _, machine := range g.machines {
		if now[machine].desired != g.now[machine].desired {
			return false
		}
	}
	return true
}

// current is whether all machines have the states that are theirs, other ones than before.
func (g *generations) current(before map[string]generation) bool {
	for _, machine := range g.machines {
		is := g.now[machine]
		if is.current != "True" || is.applied != is.desired || before != nil && is.desired == before[machine].desired {
			return false
		}
	}
	return true
}
