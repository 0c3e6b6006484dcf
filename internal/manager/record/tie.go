package record

import (
	"context"
	"fmt"

	clientnetworking "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// tie gives a machine what makes it end well, and reports whether it wrote: the finalizer, by which a deleted Machine stays until its host has
// left, and its group as the owner, by which it is deleted with that.
func (r *Recorder) tie(ctx context.Context, machine *v1alpha1.Machine) (bool, error) {
	tied := controllerutil.AddFinalizer(machine, v1alpha1.FinalizerLeave)
	group, ok := r.Facts().Groups[groupOf(machine)]
	if ok && ownerOf(machine) != group.UID {
		uid, err := r.liveGroup(ctx, group.NamespacedName)
		if err != nil {
			return false, err
		}
		tied = own(machine, uid) || tied
	}
	if !tied {
		return false, nil
	}
	if err := r.Writer.Update(ctx, machine); err != nil {
		return false, fmt.Errorf("tie machine %s/%s to its group: %w", machine.Namespace, machine.Name, err)
	}
	return true, nil
}

// liveGroup is the UID of a WorkloadGroup, empty if there is none or it is being deleted. The cache is not enough: a group that was deleted with
// `--cascade=orphan` has just lost its machines, and one that is named as the owner when it is gone takes them with it.
func (r *Recorder) liveGroup(ctx context.Context, key types.NamespacedName) (types.UID, error) {
	group := &clientnetworking.WorkloadGroup{}
	err := r.Live.Get(ctx, key, group)
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read WorkloadGroup %s: %w", key, err)
	case group.DeletionTimestamp != nil:
		return "", nil
	}
	return group.UID, nil
}

const groupKind = "WorkloadGroup"

// ownerOf is the UID of the group that owns a machine, empty if none does.
func ownerOf(machine *v1alpha1.Machine) types.UID {
	for _, owner := range machine.OwnerReferences {
		if owner.Kind == groupKind {
			return owner.UID
		}
	}
	return ""
}

// own makes a group the owner in the place of an earlier one of its name, and reports whether that changes anything. Nothing waits for the machine:
// the group may go before it.
func own(machine *v1alpha1.Machine, group types.UID) bool {
	if group == "" || group == ownerOf(machine) {
		return false
	}
	owner := meta.OwnerReference{
		APIVersion: clientnetworking.SchemeGroupVersion.String(), Kind: groupKind, Name: machine.Spec.Group, UID: group,
	}
	for i := range machine.OwnerReferences {
		if machine.OwnerReferences[i].Kind == groupKind {
			machine.OwnerReferences[i] = owner
			return true
		}
	}
	machine.OwnerReferences = append(machine.OwnerReferences, owner)
	return true
}
