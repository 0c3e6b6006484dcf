package record

import (
	"context"
	"errors"
	"fmt"

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

// Run works once, when agents had the time to come back to this process or to another replica, and ends; what fails is tried again.
func (h *Heir) Run(ctx context.Context) error {
	for pause := stall; wait(ctx, pause, nil); pause = again {
		err := h.round(ctx)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		h.recorder.Logger.Warn("machines of an earlier manager of this Pod not recorded yet", "error", err)
	}
	return nil
}

func (h *Heir) round(ctx context.Context) error {
	machines, err := h.machines(ctx)
	if err != nil {
		return fmt.Errorf("list the machines: %w", err)
	}
	var errs []error
	for i := range machines {
		connection := machines[i].Status.Connection
		if connection != nil && connection.Manager == h.recorder.Pod && !h.recorder.holds(connection.Session) {
			errs = append(errs, h.recorder.takeOut(ctx, &machines[i], reasonManagerLost,
				"manager "+connection.Manager+" was started anew, and the agent has not come back"))
		}
	}
	return errors.Join(errs...)
}

// holds reports whether a session is one of this process.
func (r *Recorder) holds(session string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, entry := range r.entries {
		if entry.session.ID == session {
			return true
		}
	}
	return false
}
