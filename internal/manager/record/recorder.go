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

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// DefaultGrace is how long a machine without a stream keeps its health. An agent is back within a fraction of a second when there is
// another replica.
const DefaultGrace = 10 * time.Second

// workers write at the same time; each machine has at most one.
const workers = 8

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
	queue workqueue.TypedRateLimitingInterface[types.NamespacedName]

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
		queue:   workqueue.NewTypedRateLimitingQueue(limiter),
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
	r.entries[session.Machine] = entry
	r.queue.Add(session.Machine)
	return entry
}

// Look has the machine compared with what is written, if it has a session here.
func (r *Recorder) Look(machine types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.entries[machine]; ok {
		r.queue.Add(machine)
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
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
				r.lookAtAll()
			}
		}
	})
	return group.Wait()
}

func (r *Recorder) lookAtAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for machine := range r.entries {
		r.queue.Add(machine)
	}
}

// work does the next machine; false when the queue is shut.
func (r *Recorder) work(ctx context.Context) bool {
	machine, shut := r.queue.Get()
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
		r.queue.AddRateLimited(machine)
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
	return observation{Session: e.session, report: report, decision: e.decision, lost: e.lost, dismissed: e.dismissed, claimed: e.claimed, met: e.met}, true
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
