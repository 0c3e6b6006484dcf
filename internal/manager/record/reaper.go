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

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// Reaper does for machines without a stream what a Recorder does for its own: it takes those out of rotation whose replica died, and sees to it
// that revoked ones have no tokens and are known as such. It runs on the leader alone.
type Reaper struct {
	recorder *Recorder
	machines func(ctx context.Context) ([]v1alpha1.Machine, error)
	managers func(ctx context.Context) (map[string]bool, error)
	wake     <-chan struct{}

	// Run's goroutine alone uses what follows.
	suspects map[string]time.Time
	voided   map[types.UID]bool
}

// stall is how long a replica may be there and not be ready, or have been started anew, before its machines count as lost.
const stall = time.Minute

// NewReaper makes a Reaper that uses the recorder's options. machines lists all Machines, which it does not change; managers has the names of
// the Pods of all replicas, and whether each is ready; wake gets a value when either may have changed.
func NewReaper(recorder *Recorder, machines func(context.Context) ([]v1alpha1.Machine, error),
	managers func(context.Context) (map[string]bool, error), wake <-chan struct{},
) *Reaper {
	return &Reaper{recorder: recorder, machines: machines, managers: managers, wake: wake}
}

// NeedLeaderElection reports true.
func (r *Reaper) NeedLeaderElection() bool { return true }

// Start is Run, as controller-runtime's manager calls it.
func (r *Reaper) Start(ctx context.Context) error { return r.Run(ctx) }

// pause keeps a burst of changes from making as many rounds; retry is for a round that failed.
const (
	pause = time.Second
	retry = 5 * time.Second
)

// Run works until ctx ends.
func (r *Reaper) Run(ctx context.Context) error {
	r.suspects, r.voided = map[string]time.Time{}, map[types.UID]bool{}
	for {
		next, err := r.round(ctx)
		if err != nil && ctx.Err() == nil {
			r.recorder.Logger.Warn("machines of lost managers not recorded yet", "error", err)
			next = retry
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

// round looks at all machines and returns when the next suspect's grace is over, 0 if there is none.
func (r *Reaper) round(ctx context.Context) (time.Duration, error) {
	managers, err := r.managers(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the managers: %w", err)
	}
	machines, err := r.machines(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the machines: %w", err)
	}
	now, next := r.recorder.Now(), time.Duration(0)
	suspects, voided := map[string]time.Time{}, map[types.UID]bool{}
	var errs []error
	for i := range machines {
		machine := &machines[i]
		if machine.Spec.Revoked {
			errs = append(errs, r.expel(ctx, machine))
			voided[machine.UID] = r.voided[machine.UID]
		}
		connection := machine.Status.Connection
		if connection == nil {
			continue
		}
		ready, exists := managers[connection.Manager]
		if ready {
			continue
		}
		patience := r.recorder.Grace
		if exists {
			patience = stall
		}
		since, known := r.suspects[connection.Session]
		if !known {
			since = now
		}
		left := patience - now.Sub(since)
		if left <= 0 {
			err := r.recorder.takeOut(ctx, machine, reasonManagerLost, "manager "+connection.Manager+", which had the agent's stream, is gone")
			errs = append(errs, err)
			if err == nil {
				continue
			}
			left = retry
		}
		suspects[connection.Session] = since
		if next == 0 || left < next {
			next = left
		}
	}
	r.suspects, r.voided = suspects, voided
	return next, errors.Join(errs...)
}

// expel voids the tokens of a revoked machine, once, and has its status say so; if it has a stream, the replica that holds that does.
func (r *Reaper) expel(ctx context.Context, machine *v1alpha1.Machine) error {
	if !r.voided[machine.UID] {
		if err := r.recorder.Tokens.Revoke(ctx, client.ObjectKeyFromObject(machine)); err != nil {
			return err
		}
		r.voided[machine.UID] = true
	}
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
