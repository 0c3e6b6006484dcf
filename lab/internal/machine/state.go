package machine

import (
	"context"
	"fmt"
	"time"
)

// claim waits until Run runs and nobody else works on a machine, and keeps it to the caller until release is called.
func (m *Manager) claim(ctx context.Context, name string) (release func(), err error) {
	free := func() bool {
		if !m.open || m.busy[name] {
			return false
		}
		m.busy[name] = true
		return true
	}
	if err := m.waitUntil(ctx, free); err != nil {
		return nil, fmt.Errorf("machine: %s: wait for the lab and for other commands on the machine: %w", name, err)
	}
	return func() { m.update(func() { delete(m.busy, name) }) }, nil
}

// update changes the manager's maps under the lock and wakes whoever waits for a change.
func (m *Manager) update(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	close(m.changed)
	m.changed = make(chan struct{})
}

// waitUntil calls condition under the lock, once now and again after each change, until it is true.
func (m *Manager) waitUntil(ctx context.Context, condition func() bool) error {
	for {
		m.mu.Lock()
		reached, changed := condition(), m.changed
		m.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitBoot waits until a machine runs in its boot of the number given or a later one, and fails when it goes off.
func (m *Manager) awaitBoot(ctx context.Context, name string, boot int) (Status, error) {
	off := false
	err := m.waitUntil(ctx, func() bool {
		now := m.status[name]
		off = m.runners[name] == nil
		return off || now.State == Running && now.Boot >= boot
	})
	if err != nil {
		return Status{}, fmt.Errorf("machine: wait for %s: %w", name, err)
	}
	now, err := m.Status(name)
	if err == nil && off {
		err = fmt.Errorf("machine: %s did not boot: %s", name, now.Message)
	}
	return now, err
}

func (m *Manager) statusOf(spec Spec) Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.status[spec.Name]
	now.Name, now.Address, now.Resolved = spec.Name, spec.Address, spec.Resolved
	if now.State == "" {
		now.State = Stopped
	}
	return now
}

// enter records a machine's new state.
func (m *Manager) enter(name string, state State, change func(*Status)) {
	m.update(func() {
		now := m.status[name]
		now.State, now.Message, now.Since = state, "", time.Now().UTC().Truncate(time.Millisecond)
		if change != nil {
			change(&now)
		}
		m.status[name] = now
	})
	m.log.Info("machine state", "machine", name, "state", state)
}

func (m *Manager) runner(name string) *runner {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runners[name]
}

// newRunner registers a machine as switched on. When it is already, its runner is returned and started is false.
func (m *Manager) newRunner(spec Spec) (r *runner, started bool) {
	m.update(func() {
		if r = m.runners[spec.Name]; r != nil {
			return
		}
		r, started = newRunner(spec), true
		m.runners[spec.Name] = r
		now := m.status[spec.Name]
		m.status[spec.Name] = Status{State: Starting, Boot: now.Boot}
	})
	return r, started
}

// dropRunner registers a machine as off; the message says why, where nobody asked for it.
func (m *Manager) dropRunner(r *runner, message string) {
	m.update(func() {
		delete(m.runners, r.spec.Name)
		now := m.status[r.spec.Name]
		m.status[r.spec.Name] = Status{State: Stopped, Boot: now.Boot, Since: time.Now().UTC().Truncate(time.Millisecond), Message: message}
	})
	close(r.done)
	m.log.Info("machine state", "machine", r.spec.Name, "state", Stopped, "reason", message)
}
