// Package leave takes a machine out of the mesh and puts its host back as it was. It works without a network, and each step
// may be repeated: a leave that was cut off is finished by repeating it.
package leave

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// Store has the machine's identity.
type Store interface {
	Identity() (*store.Identity, error)
	Forget() error
}

// Service is the agent's own.
type Service interface {
	// Stop stops and disables it.
	Stop(ctx context.Context) error
}

// Agent is the running agent.
type Agent interface {
	// Drain takes the machine out of rotation and lets callers be served; local.ErrNotRunning if there is no agent.
	Drain(ctx context.Context) error
}

// Manager is told.
type Manager interface {
	Leave(ctx context.Context, identity *store.Identity) error
}

// Host is put back.
type Host interface {
	Restore(ctx context.Context) error
}

// Progress shows what is done.
type Progress interface {
	Begin(what string)
	Done(what string)
	// Remark says something that did not work and that leaving goes on without.
	Remark(what string)
}

// Leaver takes one host out.
type Leaver struct {
	Store    Store
	Service  Service
	Agent    Agent
	Manager  Manager
	Host     Host
	Progress Progress
	// DrainLimit is how long the agent may take to drain.
	DrainLimit time.Duration
	// Force goes on to the end whatever fails on the host.
	Force bool
}

// leaveTimeout of the call.
const leaveTimeout = 10 * time.Second

// Run leaves. What the manager or the agent cannot do is remarked and does not keep the host from being restored; what cannot
// be restored is an error, and nothing is forgotten then, unless Force is set.
func (l *Leaver) Run(ctx context.Context) error {
	identity, err := l.Store.Identity()
	if err != nil && !errors.Is(err, store.ErrNone) {
		l.Progress.Remark(err.Error())
	}
	l.drain(ctx)
	l.Progress.Begin("stop the agent")
	switch err := l.Service.Stop(ctx); {
	case err == nil:
		l.Progress.Done("agent stopped")
	case !l.Force && identity != nil:
		return fmt.Errorf("stop the agent: %w; nothing was changed but that the machine drains: run `hawser-agent leave` again, "+
			"or `systemctl restart hawser-agent` lets the machine take traffic again", err)
	default:
		// Where nothing was joined, there may be no service to stop either, nor a systemd to ask.
		l.Progress.Remark(err.Error())
	}
	l.tell(ctx, identity)
	return l.restore(ctx)
}

func (l *Leaver) drain(ctx context.Context) {
	l.Progress.Begin("drain")
	limited, cancel := context.WithTimeout(ctx, l.DrainLimit)
	defer cancel()
	switch err := l.Agent.Drain(limited); {
	case errors.Is(err, local.ErrNotRunning):
	case errors.Is(err, context.DeadlineExceeded):
		l.Progress.Remark(fmt.Sprintf("callers were not turned away: there was no answer of the agent within %s", l.DrainLimit))
	case err != nil:
		l.Progress.Remark("callers were not turned away: " + err.Error())
	default:
		l.Progress.Done("drained: callers send no more requests")
	}
}

func (l *Leaver) tell(ctx context.Context, identity *store.Identity) {
	if identity == nil {
		return
	}
	l.Progress.Begin("tell the manager")
	limited, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := l.Manager.Leave(limited, identity); err != nil {
		e := identity.Enrollment
		l.Progress.Remark(fmt.Sprintf("the manager was not told (%v): it finds the machine gone by itself and takes it out of rotation; "+
			"`kubectl delete machine %s -n %s` removes its last trace", err, e.Name, e.Namespace))
		return
	}
	l.Progress.Done("the manager has taken the machine out of the mesh")
}

func (l *Leaver) restore(ctx context.Context) error {
	l.Progress.Begin("put the host back as it was")
	if err := l.Host.Restore(ctx); err != nil {
		if !l.Force {
			return fmt.Errorf("put the host back: %w; what is done stays done: run `hawser-agent leave` again, or `hawser-agent leave --force` to give up the rest", err)
		}
		l.Progress.Remark(err.Error())
	}
	if err := l.Store.Forget(); err != nil {
		return err
	}
	l.Progress.Done("the host is as it was before it joined")
	return nil
}
