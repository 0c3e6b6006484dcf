package record

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Remove takes a machine out of the mesh for good. Traffic goes first, then what the machine could come back with; the object is last, so that
// a removal that was cut off is finished by repeating it.
func (r *Recorder) Remove(ctx context.Context, machine facts.Machine) error {
	defer r.take(machine.NamespacedName)()
	return r.remove(ctx, machine)
}

// remove is Remove in the machine's turn.
func (r *Recorder) remove(ctx context.Context, machine facts.Machine) error {
	r.mu.Lock()
	delete(r.entries, machine.NamespacedName)
	r.mu.Unlock()
	if err := r.removeEntry(ctx, machine.NamespacedName, machine.UID); err != nil {
		return err
	}
	var object v1alpha1.Machine
	switch err := r.Live.Get(ctx, machine.NamespacedName, &object); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read machine %s: %w", machine.NamespacedName, err)
	case object.UID != machine.UID:
		// The name is another machine's by now, and so are the tokens.
		return nil
	}
	if err := r.Tokens.Revoke(ctx, machine.NamespacedName); err != nil {
		return err
	}
	err := r.Writer.Delete(ctx, &object, client.Preconditions{UID: &machine.UID})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete machine %s: %w", machine.NamespacedName, err)
	}
	return release(ctx, r.Live, r.Writer, machine.NamespacedName, func(object *v1alpha1.Machine) bool {
		return object.UID == machine.UID && object.DeletionTimestamp != nil
	})
}
