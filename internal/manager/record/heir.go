package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// Heir takes out the machines whose status names a stream to this Pod although this process has none of theirs. It was an earlier process's, or it is of before
// a restore of the cluster's state, which has brought back what was recorded then. Nobody else can: for the leader the replica lives, by its name.
// Every replica has one.
type Heir struct {
	recorder *Recorder
	machines func(ctx context.Context) ([]v1alpha1.Machine, error)

	// Run's goroutine alone uses what follows: until when agents have the time to come back to this process or to another replica, and when each session
	// was first seen that is not held.
	settled time.Time
	missing map[string]time.Time
}

// NewHeir makes an Heir of the recorder's Pod. machines lists all Machines, which it does not change.
func NewHeir(recorder *Recorder, machines func(context.Context) ([]v1alpha1.Machine, error)) *Heir {
	return &Heir{recorder: recorder, machines: machines}
}

// NeedLeaderElection reports false.
func (h *Heir) NeedLeaderElection() bool { return false }

// Start is Run, as controller-runtime's manager calls it.
func (h *Heir) Start(ctx context.Context) error { return h.Run(ctx) }

// Run works until ctx ends.
func (h *Heir) Run(ctx context.Context) error {
	h.settled = h.recorder.Now().Add(stall)
	for {
		if err := h.round(ctx); err != nil && ctx.Err() == nil {
			h.recorder.Logger.Warn("machines whose streams are not here any more not recorded yet", "error", err)
		}
		if !wait(ctx, again, nil) {
			return nil
		}
	}
}

func (h *Heir) round(ctx context.Context) error {
	machines, err := h.machines(ctx)
	if err != nil {
		return fmt.Errorf("list the machines: %w", err)
	}
	now, missing := h.recorder.Now(), map[string]time.Time{}
	var errs []error
	for i := range machines {
		connection := machines[i].Status.Connection
		if connection == nil || connection.Manager != h.recorder.Pod || h.recorder.holds(&machines[i]) {
			continue
		}
		since, known := h.missing[connection.Session]
		if !known {
			since = now
		}
		missing[connection.Session] = since
		if now.Before(h.settled) || now.Sub(since) < h.recorder.Grace {
			continue
		}
		errs = append(errs, h.recorder.takeOut(ctx, &machines[i], reasonManagerLost,
			"manager "+connection.Manager+" does not have the agent's stream any more, and the agent has not come back"))
	}
	h.missing = missing
	return errors.Join(errs...)
}

// holds reports whether this process has a book of the machine, of whichever session: then it writes what is so as soon as it can.
func (r *Recorder) holds(machine *v1alpha1.Machine) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry, ok := r.entries[client.ObjectKeyFromObject(machine)]
	return ok && entry.session.UID == machine.UID
}
