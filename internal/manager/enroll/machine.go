package enroll

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/admission"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// absence is how long a machine keeps its name although it is not connected: since it joined, or since it lost its last stream. A link that is
// down for a moment must not give its identity to a host that happens to have the same name.
const absence = time.Minute

// claimable returns the Machine that holds the name already, nil if nobody does, and refuses if it is somebody else's.
func (s *Service) claimable(ctx context.Context, candidate facts.Machine, host *hawserv1.HostFacts) (*v1alpha1.Machine, error) {
	existing, err := s.Machines.GetMachine(ctx, candidate.NamespacedName)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, busy(fmt.Sprintf("look up machine %s", candidate.NamespacedName), err)
	}
	remove := fmt.Sprintf("kubectl delete machine %s -n %s", candidate.Name, candidate.Namespace)
	switch {
	case existing.Spec.Revoked:
		return nil, refusal.New(refusal.MachineRevoked, "machine", candidate.NamespacedName, "delete", remove)
	case existing.DeletionTimestamp != nil:
		return nil, busy(fmt.Sprintf("take the place of machine %s, which is being deleted", candidate.NamespacedName), nil)
	case existing.Spec.KeyFingerprint != candidate.KeyFingerprint && s.holdsName(existing, host):
		return nil, refusal.New(refusal.HostnameTaken, "machine", candidate.NamespacedName, "name", candidate.Name, "namespace", candidate.Namespace)
	case existing.Spec.Group != candidate.Group:
		return nil, refusal.New(refusal.GroupMismatch, "machine", candidate.NamespacedName,
			"group", existing.Namespace+"/"+existing.Spec.Group, "wanted", candidate.GroupKey(), "delete", remove)
	}
	return existing, nil
}

// holdsName reports whether another host than this one lives under the name. One that is not connected and has the same machine-id is this
// host, which lost its key; of clones, which have the same machine-id too, the one that is connected keeps the name.
func (s *Service) holdsName(existing *v1alpha1.Machine, host *hawserv1.HostFacts) bool {
	connected := apimeta.FindStatusCondition(existing.Status.Conditions, v1alpha1.ConditionConnected)
	switch {
	case existing.Status.Connection != nil && connected != nil && connected.Status == meta.ConditionTrue:
		return true
	case existing.Spec.MachineID != "" && existing.Spec.MachineID == host.GetMachineId():
		return false
	}
	seen := existing.CreationTimestamp.Time
	if connected != nil && connected.LastTransitionTime.After(seen) {
		seen = connected.LastTransitionTime.Time
	}
	return s.Now().Sub(seen) < absence
}

// settle makes the Machine: creates it, or gives it the host's key.
func (s *Service) settle(ctx context.Context, candidate facts.Machine, host *hawserv1.HostFacts) (*v1alpha1.Machine, error) {
	for range attempts {
		existing, err := s.claimable(ctx, candidate, host)
		if err != nil {
			return nil, err
		}
		machine := s.newMachine(candidate, host)
		switch {
		case existing == nil:
			err = s.Machines.CreateMachine(ctx, machine)
		case existing.Spec.KeyFingerprint == candidate.KeyFingerprint:
			return existing, nil
		default:
			machine, err = s.rekey(ctx, existing, machine.Spec)
		}
		if err == nil {
			return machine, nil
		}
		if !apierrors.IsAlreadyExists(err) && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return nil, busy(fmt.Sprintf("keep machine %s", candidate.NamespacedName), err)
		}
	}
	return nil, busy(fmt.Sprintf("keep machine %s", candidate.NamespacedName), errors.New("it changes all the time"))
}

// rekey gives the name to another key. What the former host has got of the mesh is voided, so that it cannot go on beside this one: before, as the
// change may be the last that is done, and after, as the former host can get a token until then.
func (s *Service) rekey(ctx context.Context, existing *v1alpha1.Machine, spec v1alpha1.MachineSpec) (*v1alpha1.Machine, error) {
	key := types.NamespacedName{Namespace: existing.Namespace, Name: existing.Name}
	if err := s.IstioTokens.Revoke(ctx, key); err != nil {
		return nil, err
	}
	changed := existing.DeepCopy()
	changed.Spec.KeyFingerprint, changed.Spec.MachineID = spec.KeyFingerprint, spec.MachineID
	// Copies had the former key. The host that has the name now may be one of them.
	delete(changed.Annotations, v1alpha1.AnnotationClones)
	delete(changed.Annotations, v1alpha1.AnnotationReturning)
	admission.Admitted(changed, s.Now())
	if err := s.Machines.UpdateMachine(ctx, changed); err != nil {
		return nil, err
	}
	return changed, s.IstioTokens.Revoke(ctx, key)
}

func (s *Service) newMachine(candidate facts.Machine, host *hawserv1.HostFacts) *v1alpha1.Machine {
	machine := admission.NewMachine(candidate, s.Now())
	if id := host.GetMachineId(); len(id) <= 64 {
		machine.Spec.MachineID = id
	}
	return machine
}
