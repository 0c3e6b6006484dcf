package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/store"
)

const (
	// lookPeriod is how often the host is looked at without news: what events do not tell of is put right within this time, as are rules
	// that are by iptables, and everything on a host whose kernel does not tell.
	lookPeriod = time.Minute
	// watchedPeriod is that where events tell what matters. A look costs programs that run and files that are read.
	watchedPeriod = 10 * time.Minute
	// pilot-agent remembers what a name led to for 5 s, so that a proxy whose connection to a gateway's former address was ended may make another one.
	// Nothing tells of it, and where nobody answers it waits long: so the host is looked at each formerPeriod for formerTime.
	formerPeriod = time.Second
	formerTime   = 8 * time.Second
	// retiringPeriod is how often is looked whether a former proxy has drained.
	retiringPeriod = 2 * time.Second
	// cutPatience is how long a start waits for the manager when the host is between two states: its stream opens within 2 s.
	cutPatience = 5 * time.Second
	// Pauses between failed attempts.
	shortestRetry = time.Second
	longestRetry  = time.Minute
)

// Drift tells when something of the host may have changed; drift.Watcher does.
type Drift interface {
	Run(ctx context.Context) error
	// Follow replaces the paths that matter, and returns whether all of what is not a path is watched as well.
	Follow(paths []string) bool
	Changed() <-chan struct{}
}

// applier makes the host as the mailbox wants it, one state after the other.
type applier struct {
	machine Convergent
	mailbox *mailbox
	board   *report.Board
	store   *store.Store
	drift   Drift
	// looked is called when the board knows what the host is, or as much as is to be learnt of it before the manager has been asked.
	looked func()
	log    *slog.Logger
	// kept is the generation that is on the disk, begun the last one that was begun to be applied.
	kept, begun string
	// watched: events tell of changes to the host as it was found last.
	watched bool
	// former is until when the proxy may go to a former address.
	former time.Time
	// retiring: a former proxy drains, which ends without an event.
	retiring bool
}

// run applies until ctx ends.
func (a *applier) run(ctx context.Context) error {
	a.complete(ctx)
	retry := shortestRetry
	for {
		pause := lookPeriod
		if want := a.mailbox.want(); want != nil {
			if err := a.apply(ctx, want); err != nil && ctx.Err() == nil {
				a.log.Error("could not make the host as desired", "generation", want.GetGeneration(), "error", err, "retry", retry)
				pause, retry = retry, min(2*retry, longestRetry)
			} else {
				retry = shortestRetry
				if a.watched {
					pause = watchedPeriod
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.mailbox.changed:
			retry = shortestRetry
		case <-a.drift.Changed():
		case <-time.After(a.until(pause + rand.N(pause/10))):
		}
	}
}

// complete waits for the state that a run before was cut off in applying, as the manager has it. To begin with the one that is kept would be to go back,
// and its token may have been replaced already. If the manager does not answer, that one is all there is. The host is looked at meanwhile: its proxy may
// serve, and is not to be called unready for that nobody knows of it yet.
func (a *applier) complete(ctx context.Context) {
	if a.kept == "" || a.begun == "" || a.begun == a.kept {
		return
	}
	a.log.Info("applying a state was cut off, it is asked for", "begun", a.begun, "kept", a.kept)
	if err := a.machine.Look(ctx, a.mailbox.want(), a.teller()); err != nil && ctx.Err() == nil {
		a.log.Warn("could not look at the host", "error", err)
		a.looked()
	}
	limit := time.After(cutPatience)
	for a.mailbox.want().GetGeneration() == a.kept {
		select {
		case <-ctx.Done():
			return
		case <-limit:
			return
		case <-a.mailbox.changed:
		}
	}
}

// until shortens a pause to when something that was left alone is due, or a connection may have to be ended once more.
func (a *applier) until(pause time.Duration) time.Duration {
	if time.Now().Before(a.former) {
		pause = min(pause, formerPeriod)
	}
	if a.retiring {
		pause = min(pause, retiringPeriod)
	}
	if wake := a.board.Facts().Drift.Wake(); !wake.IsZero() {
		return min(pause, max(time.Until(wake), shortestRetry))
	}
	return pause
}

func (a *applier) apply(ctx context.Context, want *hawserv1.DesiredState) error {
	generation := want.GetGeneration()
	a.begin(generation)
	err := a.machine.Converge(ctx, want, a.teller())
	if err == nil {
		err = a.keep(want)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.board.Update(func(f *report.Facts) {
		if err != nil {
			f.Configuration.Failed, f.Configuration.Reason, f.Configuration.Message = generation, reasonOf(err), err.Error()
			if f.Configuration.Applied == generation {
				// It was applied, and is no longer.
				f.Configuration.Applied = ""
			}
			return
		}
		f.Configuration.Applied, f.Configuration.Failed, f.Configuration.Reason, f.Configuration.Message = generation, "", "", ""
	})
	return err
}

// teller is for one Converge, or one Look.
func (a *applier) teller() *teller { return &teller{board: a.board, found: a.found, log: a.log} }

// begin notes what is about to be applied. A disk that is full is no reason not to try.
func (a *applier) begin(generation string) {
	if a.begun == generation {
		return
	}
	if err := a.store.Begin(generation); err != nil {
		a.log.Warn("could not note which state is being applied", "generation", generation, "error", err)
		return
	}
	a.begun = generation
}

// found follows what the host consists of now.
func (a *applier) found(outcome Outcome) {
	if outcome.Former {
		a.former = time.Now().Add(formerTime)
	}
	a.retiring = outcome.Proxy.Retiring != ""
	byIPTables := outcome.Interception.Active && outcome.Interception.Backend == string(plan.IPTables)
	a.watched = a.drift.Follow(outcome.Watched) && !byIPTables
	a.looked()
}

// keep stores an applied state for the next boot.
func (a *applier) keep(want *hawserv1.DesiredState) error {
	if a.kept == want.GetGeneration() {
		return nil
	}
	if err := a.store.KeepDesired(want); err != nil {
		return err
	}
	a.kept = want.GetGeneration()
	a.log.Info("the host is as desired", "generation", a.kept)
	return nil
}

// teller puts on the board what one Converge tells.
type teller struct {
	board *report.Board
	found func(Outcome)
	log   *slog.Logger
	// changed: a step was told; until then the board has those of the Converge before.
	changed bool
}

var _ Teller = (*teller)(nil)

// Found takes over what the host is. The proxy's readiness is watched apart: it is taken from here only if another proxy runs now, or
// if it got ready since the watch looked.
func (t *teller) Found(outcome Outcome) {
	t.board.Update(func(f *report.Facts) {
		if f.Proxy.Slot == outcome.Proxy.Slot {
			outcome.Proxy.Ready, outcome.Proxy.Message = f.Proxy.Ready || outcome.Proxy.Ready, f.Proxy.Message
			if outcome.Proxy.Version == "" {
				// It runs on as it was while another one is made ready.
				outcome.Proxy.Version, outcome.Proxy.ImageDigest = f.Proxy.Version, f.Proxy.ImageDigest
			}
		}
		f.Proxy, f.Interception, f.DNS = outcome.Proxy, outcome.Interception, outcome.DNS
	})
	t.found(outcome)
}

// Repaired keeps a thing that was put right.
func (t *teller) Repaired(thing string) {
	t.log.Warn("others changed the host, it is put right", "thing", thing)
	t.board.Update(func(f *report.Facts) { f.Drift = f.Drift.Repair(thing, time.Now()) })
}

// Contested keeps which things are left alone.
func (t *teller) Contested(things []report.Contested) {
	now := t.board.Facts().Drift.Contested
	for _, thing := range things {
		if !slices.ContainsFunc(now, func(c report.Contested) bool { return c.Thing == thing.Thing }) {
			t.log.Warn("others change the host again and again, or it cannot be changed: it is left alone", "thing", thing.Thing, "refused", thing.Refused, "until", thing.Until)
		}
	}
	if !slices.Equal(now, things) {
		t.board.Update(func(f *report.Facts) { f.Drift.Contested = things })
	}
}

// Changes adds a step to those of this Converge.
func (t *teller) Changes(step report.Step) {
	t.board.Update(func(f *report.Facts) {
		if !t.changed {
			f.Configuration.Steps, t.changed = nil, true
		}
		f.Configuration.Steps = withStep(f.Configuration.Steps, step)
	})
}

// withStep replaces the last step if it is the same one, which has now ended, and else adds it. It makes a new list, as the old
// one may be in use.
func withStep(steps []report.Step, step report.Step) []report.Step {
	if n := len(steps); n > 0 && steps[n-1].Name == step.Name && steps[n-1].Started.Equal(step.Started) {
		steps = steps[:n-1]
	}
	return append(append([]report.Step{}, steps...), step)
}

func reasonOf(err error) string {
	var reasoned interface{ Reason() string }
	if errors.As(err, &reasoned) {
		return reasoned.Reason()
	}
	return "ApplyFailed"
}
