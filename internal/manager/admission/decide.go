package admission

import (
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// action is what becomes of a machine that calls with a stamp that a restore has forgotten.
type action string

const (
	// refuse it as any other whose key is not the Machine's.
	refuse action = "refuse"
	// settle: refuse it, and for good: it has been replaced or deleted since the restore, and must not come back when its name is free.
	settle action = "settle"
	// create its Machine anew.
	create action = "create"
	// rekey the Machine of its name, which is of an admission before its own.
	rekey action = "rekey"
	// finish: it has its Machine already.
	finish action = "finish"
	// awaitGroup: its group is not there. A restore may be followed by tools that make things again.
	awaitGroup action = "await the group"
	// awaitDeletion of the Machine of its name, which is an earlier one's.
	awaitDeletion action = "await the deletion"
)

// decide what becomes of the candidate, which has been admitted with the stamp. existing is the Machine of its name, nil if there is none; group
// tells whether its group is there.
func decide(candidate facts.Machine, stamp identity.Stamp, existing *v1alpha1.Machine, group bool) action {
	switch {
	case existing == nil && group:
		return create
	case existing == nil:
		return awaitGroup
	case existing.Spec.Revoked:
		return refuse
	case existing.Spec.KeyFingerprint == candidate.KeyFingerprint && existing.DeletionTimestamp == nil:
		return finish
	case existing.Spec.KeyFingerprint == candidate.KeyFingerprint:
		return settle
	case existing.DeletionTimestamp != nil:
		return awaitDeletion
	}
	// The name is another key's. Which of the two came later is what counts: somebody may have joined under the name since the restore.
	admitted, err := admittedAt(existing)
	switch {
	case err != nil:
		// An older manager let it in, and did not say when.
		return refuse
	case !admitted.Before(stamp.Time()):
		return settle
	case existing.Spec.Group != candidate.Group:
		// A Machine's group cannot be changed.
		return refuse
	}
	return rekey
}
