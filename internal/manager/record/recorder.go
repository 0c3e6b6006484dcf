package record

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// DefaultGrace is how long a machine without a stream keeps its health. An agent is back within a fraction of a second when there is
// another replica.
const DefaultGrace = 10 * time.Second

// workers write at the same time; each machine has at most one. They wait for etcd nearly all the time, which takes together what comes together.
const workers = 32

// Reader reads an object; a controller-runtime client.Reader is one.
type Reader interface {
	Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error
}

// Writer writes objects without their status; a controller-runtime client.Writer is one. Errors are those of apierrors.
type Writer interface {
	Create(ctx context.Context, object client.Object, options ...client.CreateOption) error
	Update(ctx context.Context, object client.Object, options ...client.UpdateOption) error
	Delete(ctx context.Context, object client.Object, options ...client.DeleteOption) error
}

// StatusWriter writes an object's status; a controller-runtime client.SubResourceWriter is one.
type StatusWriter interface {
	Update(ctx context.Context, object client.Object, options ...client.SubResourceUpdateOption) error
}

// Events tells people what happened; a recorder of client-go's tools/events is one.
type Events interface {
	Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any)
}

// IstioTokens voids the tokens of a machine; *istiotoken.Minter is one.
type IstioTokens interface {
	Revoke(ctx context.Context, machine types.NamespacedName) error
}

// Options are what records are made with; all are required but Grace.
type Options struct {
	// Cached may lag; Live is the API server itself.
	Cached Reader
	Live   Reader
	Writer Writer
	Status StatusWriter
	Events Events
	// Tokens are voided when a machine is revoked or leaves.
	Tokens IstioTokens
	Facts  func() facts.Facts
	// Changed tells when there are newer facts; see watch.Source.
	Changed func(ctx context.Context) <-chan struct{}
	// Pod is the name of this replica.
	Pod    string
	Now    func() time.Time
	Logger *slog.Logger
	Grace  time.Duration
}

// Recorder writes for the machines that have a stream to this replica.
type Recorder struct {
	Options
	queue priorityqueue.PriorityQueue[types.NamespacedName]

	// turns keep a machine's removal apart from a write for it that is under way; a few machines share one.
	turns [256]chan struct{}
	seed  maphash.Seed

	mu      sync.Mutex
	entries map[types.NamespacedName]*Entry
	// settling are machines with something routine to write, coming those that nothing was written of yet.
	settling, coming *hold
}

// New makes a Recorder. It writes once Run runs.
func New(options Options) *Recorder {
	if options.Grace == 0 {
		options.Grace = DefaultGrace
	}
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](20*time.Millisecond, 10*time.Second)
	r := &Recorder{
		Options: freshly(options),
		queue: priorityqueue.New("record", func(o *priorityqueue.Opts[types.NamespacedName]) {
			o.RateLimiter = limiter
		}),
		seed:     maphash.MakeSeed(),
		entries:  map[types.NamespacedName]*Entry{},
		settling: newHold(routine), coming: newHold(ordinary),
	}
	for i := range r.turns {
		r.turns[i] = make(chan struct{}, 1)
	}
	return r
}

// take waits for the machine's turn and returns the function that ends it.
func (r *Recorder) take(machine types.NamespacedName) (end func()) {
	turn := r.turns[maphash.Comparable(r.seed, machine)%uint64(len(r.turns))]
	turn <- struct{}{}
	return func() { <-turn }
}

// Open begins the book of a session, and ends that of an earlier one of the same machine.
func (r *Recorder) Open(session Session) *Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry := &Entry{recorder: r, session: session, host: pack(session.Host), report: pack(session.Report)}
	entry.session.Host, entry.session.Report = nil, nil
	if before := r.entries[session.Machine]; before != nil {
		entry.earlier = before.earlier
		if before.claimed {
			entry.earlier = before.session.ID
		}
	}
	r.entries[session.Machine] = entry
	r.later(r.coming, session.Machine)
	return entry
}

// Look has the machine compared with what is written, if it has a session here.
func (r *Recorder) Look(machine types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.entries[machine]; ok {
		r.enqueue(machine, ordinary, 0)
	}
}

// NeedLeaderElection reports false: each replica writes for its own machines.
func (r *Recorder) NeedLeaderElection() bool { return false }

// Start is Run, as controller-runtime's manager calls it.
func (r *Recorder) Start(ctx context.Context) error { return r.Run(ctx) }

// Run writes until ctx ends. What was not written then is written by the replica that the machine comes to next.
func (r *Recorder) Run(ctx context.Context) error {
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for r.work(ctx) {
			}
		})
	}
	changed := r.Changed(ctx)
	for before := r.Facts(); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-changed:
			now := r.Facts()
			r.lookAtConcerned(before, now)
			before = now
		}
	}
	// A queue that is shut while somebody waits may go on to hand out for ever: so nobody waits any more.
	for worker := range workers {
		r.enqueue(types.NamespacedName{Name: fmt.Sprint(worker)}, goHome, 0)
	}
	working.Wait()
	r.queue.ShutDown()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range []*hold{r.settling, r.coming} {
		if h.over != nil {
			h.over.Stop()
		}
	}
	return nil
}

// lookAtConcerned has those machines compared with what is written that newer facts may make another record of. Nearly all changes are of
// machines, and are none's but theirs.
func (r *Recorder) lookAtConcerned(before, now facts.Facts) {
	if facts.Shared(before.Groups, now.Groups) && facts.Shared(before.Policies, now.Policies) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for machine := range r.entries {
		if concerned(machine, before, now) {
			r.enqueue(machine, ordinary, 0)
		}
	}
}

// work does the next machine; false when ctx has ended.
func (r *Recorder) work(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	machine, priority, _ := r.queue.GetWithPriority()
	defer r.queue.Done(machine)
	if ctx.Err() != nil {
		return false
	}
	if err := r.reconcile(ctx, machine); err != nil && ctx.Err() == nil {
		level := slog.LevelWarn
		if apierrors.IsConflict(err) {
			// The cache was older than the last write.
			level = slog.LevelDebug
		}
		r.Logger.Log(ctx, level, "machine not recorded yet", "machine", machine.String(), "error", err)
		r.again(machine, priority)
		return true
	}
	r.queue.Forget(machine)
	return true
}

func (r *Recorder) observe(machine types.NamespacedName) (observation, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Whatever it is written for, the rest is written along.
	delete(r.settling.machines, machine)
	delete(r.coming.machines, machine)
	e, ok := r.entries[machine]
	if !ok {
		return observation{}, false
	}
	session := e.session
	session.Host = e.host.host()
	return observation{Session: session, report: e.report.report(), decision: e.decision, lost: e.lost, dismissed: e.dismissed, claimed: e.claimed, earlier: e.earlier, met: e.met}, true
}

// claim notes that the Machine's status names the session.
func (r *Recorder) claim(o observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.entries[o.Machine]; ok && e.session.ID == o.ID {
		e.claimed = true
	}
}

// forget drops the book of the session, unless a newer one has begun.
func (r *Recorder) forget(o observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.entries[o.Machine]; ok && e.session.ID == o.ID {
		delete(r.entries, o.Machine)
	}
}
