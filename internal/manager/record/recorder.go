package record

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
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
		seed:    maphash.MakeSeed(),
		entries: map[types.NamespacedName]*Entry{},
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
	entry := &Entry{recorder: r, session: session, report: session.Report}
	if before := r.entries[session.Machine]; before != nil {
		entry.earlier = before.earlier
		if before.claimed {
			entry.earlier = before.session.ID
		}
	}
	r.entries[session.Machine] = entry
	r.enqueue(session.Machine, ordinary, r.lull())
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
	group, ctx := errgroup.WithContext(ctx)
	changed := r.Changed(ctx)
	for range workers {
		group.Go(func() error {
			for r.work(ctx) {
			}
			return nil
		})
	}
	group.Go(func() error {
		defer r.queue.ShutDown()
		for before := r.Facts(); ; {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				now := r.Facts()
				r.lookAtConcerned(before, now)
				before = now
			}
		}
	})
	return group.Wait()
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

// work does the next machine; false when the queue is shut.
func (r *Recorder) work(ctx context.Context) bool {
	machine, priority, shut := r.queue.GetWithPriority()
	if shut {
		return false
	}
	defer r.queue.Done(machine)
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
	e, ok := r.entries[machine]
	if !ok {
		return observation{}, false
	}
	report := e.report
	if report == nil {
		report = &hawserv1.Report{}
	}
	return observation{Session: e.session, report: report, decision: e.decision, lost: e.lost, dismissed: e.dismissed, claimed: e.claimed, earlier: e.earlier, met: e.met}, true
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
