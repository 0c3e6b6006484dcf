package record

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// Heir takes out the machines whose streams an earlier process of this Pod held, and that have not come back. Nobody else can: a container that
// crashed and was started anew has the same name, so that for the leader the replica lives. Every replica has one.
type Heir struct {
	recorder *Recorder
	machines func(ctx context.Context) ([]v1alpha1.Machine, error)
}

// NewHeir makes an Heir of the recorder's Pod. machines lists all Machines, which it does not change.
func NewHeir(recorder *Recorder, machines func(context.Context) ([]v1alpha1.Machine, error)) *Heir {
	return &Heir{recorder: recorder, machines: machines}
}

// NeedLeaderElection reports false.
func (h *Heir) NeedLeaderElection() bool { return false }

// Start is Run, as controller-runtime's manager calls it.
func (h *Heir) Start(ctx context.Context) error { return h.Run(ctx) }

// Run works once, when agents had the time to come back to this process or to another replica, and ends; what fails is tried again, and what this
// process has not written yet is looked at again.
func (h *Heir) Run(ctx context.Context) error {
	for pause := stall; wait(ctx, pause, nil); pause = again {
		left, err := h.round(ctx)
		if err == nil && left == 0 || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			h.recorder.Logger.Warn("machines of an earlier manager of this Pod not recorded yet", "error", err)
		}
	}
	return nil
}

// round returns how many machines there are that have come back, and whose status does not say so yet.
func (h *Heir) round(ctx context.Context) (left int, err error) {
	machines, err := h.machines(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the machines: %w", err)
	}
	var errs []error
	for i := range machines {
		connection := machines[i].Status.Connection
		if connection == nil || connection.Manager != h.recorder.Pod {
			continue
		}
		switch kept, written := h.recorder.keeps(&machines[i]); {
		case !kept:
			errs = append(errs, h.recorder.takeOut(ctx, &machines[i], reasonManagerLost,
				"manager "+connection.Manager+" was started anew, and the agent has not come back"))
		case !written:
			left++
		}
	}
	return left, errors.Join(errs...)
}

// keeps reports whether this replica has a stream of the machine, or had one a moment ago, and so writes what becomes of it; and whether the
// status names that stream. It may name an earlier one still: when thousands come back together, the last of them is written after a minute or two.
func (r *Recorder) keeps(machine *v1alpha1.Machine) (kept, written bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.entries[client.ObjectKeyFromObject(machine)]
	if !ok || entry.session.UID != machine.UID {
		return false, false
	}
	return true, entry.session.ID == session(machine)
}
