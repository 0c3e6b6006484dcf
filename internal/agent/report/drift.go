package report

import (
	"slices"
	"strings"
	"time"
)

// DriftShown is how long a repair is told of.
const DriftShown = 10 * time.Minute

// Drift is what others changed of what Hawser put on the host, by the things' names: paths, "traffic rules", units.
type Drift struct {
	Repaired  []Repaired
	Contested []Contested
}

// Repaired is a thing that was put right, the last time at a time.
type Repaired struct {
	Thing string
	At    time.Time
}

// Contested is a thing that is left alone until a time.
type Contested struct {
	Thing string
	// Refused says why it cannot be changed; empty if others change it again and again.
	Refused string
	Until   time.Time
}

// Repair returns the drift with a thing that was put right at the time now. What was told before goes when nothing had drifted for
// DriftShown: a list that shrinks one by one would be told at each step.
func (d Drift) Repair(thing string, now time.Time) Drift {
	var repaired []Repaired
	if now.Sub(d.last()) < DriftShown {
		repaired = slices.DeleteFunc(slices.Clone(d.Repaired), func(r Repaired) bool { return r.Thing == thing })
	}
	d.Repaired = append(repaired, Repaired{thing, now})
	return d
}

// last is when something was put right for the last time.
func (d Drift) last() (at time.Time) {
	for _, r := range d.Repaired {
		if r.At.After(at) {
			at = r.At
		}
	}
	return at
}

// Wake is when a contested thing is to be looked at again; zero if there is none.
func (d Drift) Wake() (at time.Time) {
	for _, c := range d.Contested {
		if at.IsZero() || c.Until.Before(at) {
			at = c.Until
		}
	}
	return at
}

// drifted names things in the order of their names, so that a repair of the same thing says nothing new.
func drifted(d Drift, now time.Time) verdict {
	var contested, repaired []string
	for _, c := range d.Contested {
		switch {
		case !now.Before(c.Until):
		case c.Refused != "":
			contested = append(contested, c.Thing+" cannot be put right: "+c.Refused)
		default:
			contested = append(contested, c.Thing+" was changed by others again and again and is left alone: find out what on this host does that")
		}
	}
	for _, r := range d.Repaired {
		repaired = append(repaired, r.Thing)
	}
	slices.Sort(contested)
	slices.Sort(repaired)
	switch {
	case len(contested) > 0:
		return verdict{Drifted, "True", "Contested", strings.Join(contested, "; ")}
	case len(repaired) > 0 && now.Sub(d.last()) < DriftShown:
		return verdict{Drifted, "True", "Repaired", "others changed, and Hawser put right: " + strings.Join(repaired, ", ")}
	default:
		return verdict{Drifted, "False", "InPlace", ""}
	}
}
