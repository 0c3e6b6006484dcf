package record

import (
	"bytes"
	"time"

	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Session is one stream that an agent holds to this replica.
type Session struct {
	// ID is unique for each stream, over all replicas; SessionID makes one.
	ID      string
	Machine types.NamespacedName
	UID     types.UID
	Since   time.Time
	// Host is what the agent said of its host when it opened the stream.
	Host *hawserv1.HostFacts
	// Report is the agent's first; nil counts as one that says nothing good.
	Report *hawserv1.Report
	// Superseded is called, from any goroutine, when the machine turns out to have a newer stream to another replica.
	Superseded func()
	// Ask asks the agent whether it is there, without waiting; answered is called if it says so.
	Ask func(answered func())
}

// Decision is what became of the machine's desired state.
type Decision struct {
	// Generation and Revision of the state; empty if there is a problem.
	Generation, Revision string
	// ServiceAccount that the state gives the machine; empty if there is no state.
	ServiceAccount string
	// Problem stands in the way of a state, or of a part of it; nil if nothing does.
	Problem *facts.Problem
}

// Entry is the book of one session.
type Entry struct {
	recorder *Recorder
	// session without host and first report, which are kept packed.
	session Session
	host    packed

	// The recorder's mu guards what follows.
	report   packed
	decision *Decision
	// lost is when the stream ended; zero while it stands. dismissed: the agent was told to leave on it.
	lost      time.Time
	dismissed bool
	// claimed: the Machine's status has named this session.
	claimed bool
	// earlier is the session of this replica that the status named when this one began, empty if it named none of them.
	earlier string
	// asked and met are the last challenge that the agent was asked to meet, and has met.
	asked, met string
}

// observation is a copy of an Entry.
type observation struct {
	Session
	report   *hawserv1.Report
	decision *Decision
	lost     time.Time
	claimed  bool
	earlier  string
	met      string

	dismissed bool
}

// Report takes the agent's newest report.
func (e *Entry) Report(report *hawserv1.Report) {
	newest := pack(report)
	e.change(func() (bool, urgency) {
		before := e.report
		e.report = newest
		return !bytes.Equal(before, newest), urgencyOf(before.report(), report)
	})
}

// Decide takes what became of the machine's desired state.
func (e *Entry) Decide(decision Decision) {
	e.change(func() (bool, urgency) {
		before := e.decision
		e.decision = &decision
		if before == nil {
			return true, routine
		}
		u := routine
		if before.ServiceAccount != decision.ServiceAccount {
			// Callers expect it of the machine.
			u = health
		}
		return *before != decision, u
	})
}

// Close ends the session; dismissed says that the agent was told to leave on it. The machine keeps its health for the grace, as agents come back to
// another replica at once.
func (e *Entry) Close(dismissed bool) {
	r := e.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries[e.session.Machine] != e {
		return
	}
	e.lost, e.dismissed = r.Now(), dismissed
	r.enqueue(e.session.Machine, ordinary, r.Grace)
}

// change has the machine written if apply says that something is new; what is routine waits for more of it. A machine that has just come is
// written soon anyway: only what makes it worse is more urgent than that.
func (e *Entry) change(apply func() (bool, urgency)) {
	r := e.recorder
	r.mu.Lock()
	defer r.mu.Unlock()
	changed, u := apply()
	if !changed || r.entries[e.session.Machine] != e {
		return
	}
	switch {
	case r.coming.has(e.session.Machine) && (u == routine || e.report.report().GetHealthy()):
		return
	case u == routine:
		r.later(r.settling, e.session.Machine)
		return
	}
	r.enqueue(e.session.Machine, u, 0)
}
