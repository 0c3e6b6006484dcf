package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Reaper does for machines without a stream what a Recorder does for its own: it takes those out of rotation whose replica died, and sees to it
// that revoked ones have no tokens and are known as such, deletes those whose namespace ends, and lets deleted ones go whose host does not leave.
// It runs on the leader alone.
type Reaper struct {
	recorder *Recorder
	cluster  Cluster
	wake     <-chan struct{}

	// last is Run's goroutine's alone.
	last round
}

// Cluster is what a Reaper looks at, and does not change.
type Cluster struct {
	// Machines are all Machines.
	Machines func(ctx context.Context) ([]v1alpha1.Machine, error)
	// Managers are the names of the Pods of all replicas, and whether each is ready.
	Managers func(ctx context.Context) (map[string]bool, error)
	// Ending are the names of the namespaces that are being deleted.
	Ending func(ctx context.Context) (map[string]bool, error)
}

// round is one look at all machines, and what is to be remembered of it until the next.
type round struct {
	managers map[string]bool
	now      time.Time
	// ending are the namespaces that are being deleted.
	ending map[string]bool
	// suspects are sessions of managers that are not there, by when that was seen first; voided the revoked machines whose tokens are void.
	suspects map[string]time.Time
	voided   map[types.UID]bool
	// losses by the name of the manager.
	losses map[string]loss
}

// stall is how long a replica may be there and not be ready, or have been started anew, before its machines count as lost.
const stall = time.Minute

// farewell is how long a deleted Machine waits for its host to have left. A host that takes longer, or is away, leaves all the same: it is told when
// it comes back.
const farewell = time.Minute

// NewReaper makes a Reaper that uses the recorder's options; wake gets a value when what there is in the cluster may have changed.
func NewReaper(recorder *Recorder, cluster Cluster, wake <-chan struct{}) *Reaper {
	return &Reaper{recorder: recorder, cluster: cluster, wake: wake}
}

// pause keeps a burst of changes from making as many rounds; again is for a round that failed.
const (
	pause = time.Second
	again = 5 * time.Second
)

// Run works until ctx ends. It may be called again then: what was remembered may not be so any more.
func (r *Reaper) Run(ctx context.Context) error {
	r.last = round{}
	for {
		next, err := r.lookAtAll(ctx)
		if err != nil && ctx.Err() == nil {
			r.recorder.Logger.Warn("machines without a stream not recorded yet", "error", err)
			next = again
		}
		if !wait(ctx, pause, nil) || !wait(ctx, next, r.wake) {
			return nil
		}
	}
}

// wait returns when the time is over (0: never) or the channel has a value; false when ctx ends.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-over:
	case <-wake:
	}
	return true
}

// lookAtAll does what is due for all machines and returns when the next thing is, 0 if nothing is.
func (r *Reaper) lookAtAll(ctx context.Context) (time.Duration, error) {
	managers, err := r.cluster.Managers(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the managers: %w", err)
	}
	machines, err := r.cluster.Machines(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the machines: %w", err)
	}
	ending, err := r.cluster.Ending(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the namespaces: %w", err)
	}
	this := round{managers: managers, ending: ending, now: r.recorder.Now(), suspects: map[string]time.Time{}, voided: map[types.UID]bool{}}
	this.losses = r.losses(this, machines)
	var next time.Duration
	var errs []error
	for i := range machines {
		left, err := r.look(ctx, this, &machines[i])
		errs = append(errs, err)
		if left > 0 && (next == 0 || left < next) {
			next = left
		}
	}
	r.last = this
	return next, errors.Join(errs...)
}

// look does what is due for one machine and returns how long what is not due yet has left, 0 if nothing is.
func (r *Reaper) look(ctx context.Context, this round, machine *v1alpha1.Machine) (time.Duration, error) {
	if machine.DeletionTimestamp != nil {
		return r.release(ctx, this, machine)
	}
	if this.ending[machine.Namespace] {
		// Kubernetes lets five seconds pass before it begins to delete what is in it, and hosts take time to leave, too.
		err := r.recorder.Writer.Delete(ctx, machine.DeepCopy(), client.Preconditions{UID: &machine.UID})
		return 0, client.IgnoreNotFound(err)
	}
	var failed error
	if machine.Spec.Revoked {
		failed = r.expel(ctx, this, machine)
	}
	left, err := r.suspect(ctx, this, machine)
	return left, errors.Join(failed, err)
}

// lost reports whether a machine's status names a replica that is not there. What has come to this one is written by it, as soon as it can.
func (r *Reaper) lost(this round, machine *v1alpha1.Machine) bool {
	connection := machine.Status.Connection
	return connection != nil && !this.managers[connection.Manager] && !r.recorder.holds(machine)
}

// suspect takes a machine out of rotation whose replica is gone for long enough.
func (r *Reaper) suspect(ctx context.Context, this round, machine *v1alpha1.Machine) (time.Duration, error) {
	if !r.lost(this, machine) {
		return 0, nil
	}
	connection := machine.Status.Connection
	patience := r.recorder.Grace
	if _, exists := this.managers[connection.Manager]; exists {
		patience = stall
	}
	since, known := r.last.suspects[connection.Session]
	if !known {
		since = this.now
	}
	left := this.losses[connection.Manager].over(since.Add(patience)).Sub(this.now)
	if left <= 0 {
		err := r.recorder.takeOut(ctx, machine, reasonManagerLost, "manager "+connection.Manager+", which had the agent's stream, is gone")
		if err == nil {
			return 0, nil
		}
		this.suspects[connection.Session] = since
		return again, err
	}
	this.suspects[connection.Session] = since
	return left, nil
}

// release lets a deleted machine go if its host does not leave: it is away, or takes too long.
func (r *Reaper) release(ctx context.Context, this round, machine *v1alpha1.Machine) (time.Duration, error) {
	if !controllerutil.ContainsFinalizer(machine, v1alpha1.FinalizerLeave) {
		return 0, nil
	}
	if left := farewell - this.now.Sub(machine.DeletionTimestamp.Time); left > 0 && machine.Status.Connection != nil {
		return left, nil
	}
	key := client.ObjectKeyFromObject(machine)
	r.recorder.Logger.Info("deleted machine goes without its host", "machine", key.String())
	return 0, r.recorder.Remove(ctx, facts.Machine{NamespacedName: key, UID: machine.UID})
}

// expel voids the tokens of a revoked machine, once, and has its status say so; if it has a stream, the replica that holds that does.
func (r *Reaper) expel(ctx context.Context, this round, machine *v1alpha1.Machine) error {
	if !r.last.voided[machine.UID] {
		if err := r.recorder.Tokens.Revoke(ctx, client.ObjectKeyFromObject(machine)); err != nil {
			return err
		}
	}
	this.voided[machine.UID] = true
	connected := apimeta.FindStatusCondition(machine.Status.Conditions, v1alpha1.ConditionConnected)
	if machine.Status.Connection != nil || connected != nil && connected.Reason == reasonRevoked {
		return nil
	}
	return r.recorder.takeOut(ctx, machine, reasonRevoked, messageRevoked)
}

// takeOut writes that the machine has no stream, unless a replica has taken one up since it was seen. As in retire the entry is first: while
// the status names the lost session, the next round finds it again. A replica that takes a stream up meanwhile sees the entry change, and
// puts it right.
func (r *Recorder) takeOut(ctx context.Context, seen *v1alpha1.Machine, reason, message string) error {
	machine, err := r.liveMachine(ctx, client.ObjectKeyFromObject(seen), seen.UID)
	if err != nil || machine == nil || session(machine) != session(seen) {
		return err
	}
	before := machine.DeepCopy()
	disconnect(&machine.Status, machine.Generation, r.Now(), reason, message)
	if err := r.takeEntryOut(ctx, machine); err != nil {
		return err
	}
	if err := r.updateStatus(ctx, before, machine); !apierrors.IsConflict(err) {
		return err
	}
	return nil
}

// session is the one that a machine's status names, empty if it names none.
func session(machine *v1alpha1.Machine) string {
	if machine.Status.Connection == nil {
		return ""
	}
	return machine.Status.Connection.Session
}
