package admission

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// Machines are the Machine objects, read from the API server itself. Errors are those of apierrors.
type Machines interface {
	GetMachine(ctx context.Context, key types.NamespacedName) (*v1alpha1.Machine, error)
	// CreateMachine fills in what the API server adds.
	CreateMachine(ctx context.Context, machine *v1alpha1.Machine) error
	// UpdateMachine fails with a conflict if the object has changed since it was read.
	UpdateMachine(ctx context.Context, machine *v1alpha1.Machine) error
}

// IstioTokens voids the tokens of a machine; *istiotoken.Minter is one.
type IstioTokens interface {
	Revoke(ctx context.Context, machine types.NamespacedName) error
}

// Events tells people what happened; a recorder of client-go's tools/events is one.
type Events interface {
	Eventf(regarding, related runtime.Object, kind, reason, action, note string, args ...any)
}

// Options are what a Readmitter works with; all are required.
type Options struct {
	Keeper   *Keeper
	Machines Machines
	// GroupExists tells whether the API server has a WorkloadGroup, and it is not being deleted.
	GroupExists func(ctx context.Context, group types.NamespacedName) (bool, error)
	Tokens      IstioTokens
	// Facts make a machine of its object.
	Facts  func(*v1alpha1.Machine) facts.Machine
	Events Events
	Logger *slog.Logger
}

// Readmitter takes machines back that a restore has forgotten.
type Readmitter struct{ Options }

// NewReadmitter makes a Readmitter.
func NewReadmitter(options Options) *Readmitter { return &Readmitter{options} }

// Readmit returns the machine of a candidate that calls with the key and the stamp of a certificate, all of which the CA has signed. It is false if the
// stamp does not prove that a restore has forgotten the machine, or if the Machine of its name stands against it; an error is a refusal.
func (r *Readmitter) Readmit(ctx context.Context, candidate facts.Machine, stamp identity.Stamp) (facts.Machine, bool, error) {
	forgotten, err := r.Keeper.Forgot(ctx, stamp)
	if err != nil {
		return facts.Machine{}, false, busy(candidate, err)
	}
	for range attempts {
		existing, err := r.existing(ctx, candidate.NamespacedName)
		if err != nil {
			return facts.Machine{}, false, busy(candidate, err)
		}
		if !forgotten && !halfway(existing, candidate) {
			return facts.Machine{}, false, nil
		}
		group, err := r.GroupExists(ctx, candidate.GroupKey())
		if err != nil {
			return facts.Machine{}, false, busy(candidate, err)
		}
		machine, err := r.act(ctx, decide(candidate, stamp, existing, group), candidate, stamp, existing)
		if err == nil {
			return machine, true, nil
		}
		if errors.Is(err, errRefused) {
			return facts.Machine{}, false, nil
		}
		if refused, ok := refusal.FromError(err); ok {
			return facts.Machine{}, false, refused
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
			return facts.Machine{}, false, busy(candidate, err)
		}
	}
	return facts.Machine{}, false, busy(candidate, errors.New("its object changes all the time"))
}

// errRefused: the machine is to be refused as any other.
var errRefused = errors.New("refused")

// halfway reports whether the candidate has its Machine again, and that was not noted: a manager ended in between.
func halfway(existing *v1alpha1.Machine, candidate facts.Machine) bool {
	return existing != nil && existing.Annotations[v1alpha1.AnnotationReturning] != "" && existing.Spec.KeyFingerprint == candidate.KeyFingerprint
}

func (r *Readmitter) act(ctx context.Context, do action, candidate facts.Machine, stamp identity.Stamp, existing *v1alpha1.Machine) (facts.Machine, error) {
	switch do {
	case create:
		return r.create(ctx, candidate, stamp)
	case rekey:
		return r.rekey(ctx, candidate, stamp, existing)
	case finish:
		return r.finish(ctx, existing)
	case settle:
		if err := r.Keeper.Took(ctx, stamp); err != nil {
			return facts.Machine{}, err
		}
	case awaitGroup:
		return facts.Machine{}, forgottenGroup(candidate)
	case awaitDeletion:
		return facts.Machine{}, refusal.New(refusal.ManagerBusy, "action", fmt.Sprintf("take machine %s back while an earlier one of its name is being deleted", candidate))
	}
	return facts.Machine{}, errRefused
}

func (r *Readmitter) create(ctx context.Context, candidate facts.Machine, stamp identity.Stamp) (facts.Machine, error) {
	machine := returning(NewMachine(candidate, stamp.Time()), stamp)
	err := r.Machines.CreateMachine(ctx, machine)
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, core.NamespaceTerminatingCause) {
		// The namespace goes, and the group with it.
		return facts.Machine{}, forgottenGroup(candidate)
	}
	if err != nil {
		return facts.Machine{}, err
	}
	return r.finish(ctx, machine)
}

// rekey gives the name back to the key that had it last. As in a join with a new key, the other host loses what it has of the mesh.
func (r *Readmitter) rekey(ctx context.Context, candidate facts.Machine, stamp identity.Stamp, existing *v1alpha1.Machine) (facts.Machine, error) {
	if err := r.Tokens.Revoke(ctx, candidate.NamespacedName); err != nil {
		return facts.Machine{}, err
	}
	machine := returning(existing.DeepCopy(), stamp)
	// The certificate does not tell the machine-id.
	machine.Spec.KeyFingerprint, machine.Spec.MachineID = candidate.KeyFingerprint, ""
	delete(machine.Annotations, v1alpha1.AnnotationClones)
	if err := r.Machines.UpdateMachine(ctx, machine); err != nil {
		return facts.Machine{}, err
	}
	return r.finish(ctx, machine)
}

// finish voids what the Machine's key before has got until now, notes the return in the book, and has the Machine served from now on.
func (r *Readmitter) finish(ctx context.Context, machine *v1alpha1.Machine) (facts.Machine, error) {
	text, unfinished := machine.Annotations[v1alpha1.AnnotationReturning]
	if !unfinished {
		return r.Facts(machine), nil
	}
	if err := r.Tokens.Revoke(ctx, types.NamespacedName{Namespace: machine.Namespace, Name: machine.Name}); err != nil {
		return facts.Machine{}, err
	}
	if stamp, err := identity.ParseStamp(text); err == nil {
		if err := r.Keeper.Took(ctx, stamp); err != nil {
			return facts.Machine{}, err
		}
	}
	machine = machine.DeepCopy()
	delete(machine.Annotations, v1alpha1.AnnotationReturning)
	if err := r.Machines.UpdateMachine(ctx, machine); err != nil {
		return facts.Machine{}, err
	}
	r.Events.Eventf(machine, nil, core.EventTypeNormal, "Readmitted", "Readmit",
		"the cluster's state was restored to one from before this machine joined (%s): it was taken back by its certificate", machine.Annotations[v1alpha1.AnnotationAdmitted])
	r.Logger.Info("machine readmitted", "machine", machine.Namespace+"/"+machine.Name, "group", machine.Spec.Group, "admission", text)
	taken := r.Facts(machine)
	taken.Returning = true
	return taken, nil
}

func (r *Readmitter) existing(ctx context.Context, key types.NamespacedName) (*v1alpha1.Machine, error) {
	machine, err := r.Machines.GetMachine(ctx, key)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return machine, err
}

func forgottenGroup(candidate facts.Machine) error {
	return refusal.New(refusal.MachineForgotten, "machine", candidate.NamespacedName, "group", candidate.GroupKey())
}

func busy(candidate facts.Machine, cause error) error {
	return refusal.New(refusal.ManagerBusy, "action", fmt.Sprintf("find out whether a restore of the cluster has forgotten machine %s", candidate)).Because(cause)
}
