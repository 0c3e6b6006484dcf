package machine

import (
	"context"
	"fmt"
)

// Start boots a machine and returns when it is ready: all that systemd starts at boot has been started.
func (m *Manager) Start(ctx context.Context, name string) (Status, error) {
	release, err := m.claim(ctx, name)
	if err != nil {
		return Status{}, err
	}
	defer release()
	spec, err := m.Spec(name)
	if err != nil {
		return Status{}, err
	}
	return m.start(ctx, spec)
}

// Stop shuts a machine down as its power button would, and cuts the power when it takes longer than StopTimeout.
func (m *Manager) Stop(ctx context.Context, name string) (Status, error) {
	release, err := m.claim(ctx, name)
	if err != nil {
		return Status{}, err
	}
	defer release()
	if err := m.setOn(name, false); err != nil {
		return Status{}, err
	}
	if r := m.runner(name); r != nil {
		r.powerOff(soft)
		if err := r.wait(ctx); err != nil {
			return Status{}, err
		}
	}
	return m.Status(name)
}

// Reboot has a machine reboot itself and returns when it is ready again.
func (m *Manager) Reboot(ctx context.Context, name string) (Status, error) {
	release, err := m.claim(ctx, name)
	if err != nil {
		return Status{}, err
	}
	defer release()
	before, err := m.Status(name)
	if err != nil {
		return Status{}, err
	}
	if err := m.signalReboot(name); err != nil {
		return Status{}, err
	}
	return m.awaitBoot(ctx, name, before.Boot+1)
}

func (m *Manager) start(ctx context.Context, spec Spec) (Status, error) {
	if err := m.setOn(spec.Name, true); err != nil {
		return Status{}, err
	}
	r, started := m.newRunner(spec)
	if started {
		select {
		case m.boots <- r:
		case <-ctx.Done():
			m.dropRunner(r, "")
			return Status{}, fmt.Errorf("machine: start %s: the lab does not run machines: %w", spec.Name, context.Cause(ctx))
		}
	}
	return m.awaitBoot(ctx, spec.Name, 1)
}

func (m *Manager) setOn(name string, on bool) error {
	spec, err := m.Spec(name)
	if err != nil || spec.On == on {
		return err
	}
	spec.On = on
	return m.saveSpec(spec)
}
