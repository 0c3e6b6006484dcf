package record

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// reconcile makes status and WorkloadEntry of a machine say what is known of it here.
func (r *Recorder) reconcile(ctx context.Context, key types.NamespacedName) error {
	defer r.take(key)()
	o, ok := r.observe(key)
	if !ok {
		return nil
	}
	machine, err := r.machine(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case machine == nil && !o.lost.IsZero() && !o.dismissed:
		// It is being deleted, and its host is not there to leave.
		return r.remove(ctx, facts.Machine{NamespacedName: key, UID: o.UID})
	case machine == nil:
		r.forget(o)
		return r.removeEntry(ctx, key, o.UID)
	case o.superseded(machine):
		// The agent has come to another replica, which writes from now on.
		r.forget(o)
		o.Superseded()
		return nil
	case !o.lost.IsZero() && !o.claimed && !o.inherits(machine):
		// It was too short to be told of.
		r.forget(o)
		return nil
	}
	wrote, err := r.meet(ctx, machine, o)
	if !wrote && err == nil {
		wrote, err = r.tie(ctx, machine)
	}
	if wrote || err != nil {
		// The write brings the machine here again.
		return err
	}
	c := r.circumstances(machine, o)
	if c.gone {
		return r.retire(ctx, machine, c)
	}
	if !o.lost.IsZero() {
		// Close's own wish for that time is dropped by the queue if it had the machine for an earlier one.
		r.enqueue(key, ordinary, r.Grace-c.now.Sub(o.lost))
	}
	entry, taken := r.entry(ctx, machine)
	if taken != nil && !errors.Is(taken, errForeign) {
		return taken
	}
	c.entryTaken = taken != nil
	if err := r.writeStatus(ctx, machine, c); err != nil {
		return err
	}
	r.claim(o)
	if taken != nil {
		// The cache does not show entries of others: whether it is still there is seen by the next attempt.
		return taken
	}
	return r.writeEntry(ctx, machine, entry, c)
}

// retire takes a machine out that has no stream, or must have none. Its entry is first and its status last: as long as that names the
// session, the leader finds the machine if this replica dies in between.
func (r *Recorder) retire(ctx context.Context, machine *v1alpha1.Machine, c circumstances) error {
	before := machine.DeepCopy()
	machine.Status = c.status(machine)
	if err := r.takeEntryOut(ctx, machine); err != nil {
		return err
	}
	if machine.Spec.Revoked {
		if err := r.Tokens.Revoke(ctx, c.Machine); err != nil {
			return err
		}
	}
	if err := r.updateStatus(ctx, before, machine); err != nil {
		return err
	}
	r.forget(c.observation)
	return nil
}

// machine returns a copy of the session's Machine object, nil if it is gone. The cache is believed unless that would end the session or
// take the machine out: it may be older than the session, and not know that the agent went to another replica.
func (r *Recorder) machine(ctx context.Context, o observation) (*v1alpha1.Machine, error) {
	var machine v1alpha1.Machine
	err := r.Cached.Get(ctx, o.Machine, &machine)
	if err == nil && o.lost.IsZero() && machine.UID == o.UID && machine.DeletionTimestamp == nil && !o.superseded(&machine) {
		return &machine, nil
	}
	return r.liveMachine(ctx, o.Machine, o.UID)
}

// superseded: the status named this session once, and names another one now.
func (o observation) superseded(machine *v1alpha1.Machine) bool {
	connection := machine.Status.Connection
	return o.claimed && connection != nil && connection.Session != o.ID
}

// inherits: the status still names the session before this one, whose end nobody else will tell of.
func (o observation) inherits(machine *v1alpha1.Machine) bool {
	return o.earlier != "" && session(machine) == o.earlier
}

func (r *Recorder) liveMachine(ctx context.Context, key types.NamespacedName, uid types.UID) (*v1alpha1.Machine, error) {
	var machine v1alpha1.Machine
	err := r.Live.Get(ctx, key, &machine)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read machine %s: %w", key, err)
	case machine.UID != uid || machine.DeletionTimestamp != nil:
		return nil, nil
	}
	return &machine, nil
}

// writeStatus writes the status if it changes. A conflict means that the copy was old; the next attempt has a fresh one, which may say
// that the session is over.
func (r *Recorder) writeStatus(ctx context.Context, machine *v1alpha1.Machine, c circumstances) error {
	before := machine.DeepCopy()
	machine.Status = c.status(machine)
	return r.updateStatus(ctx, before, machine)
}

func (r *Recorder) updateStatus(ctx context.Context, before, machine *v1alpha1.Machine) error {
	if equality.Semantic.DeepEqual(before.Status, machine.Status) {
		return nil
	}
	if err := r.Status.Update(ctx, machine); err != nil {
		return fmt.Errorf("write the status of machine %s/%s: %w", machine.Namespace, machine.Name, err)
	}
	tell(r.Events, before, machine)
	return nil
}
