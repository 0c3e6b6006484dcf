package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// force says how a machine is switched off.
type force int

const (
	soft force = iota // as by the power button
	hard              // as by the plug
)

// runner is one machine that is switched on, over all its reboots.
type runner struct {
	spec       Spec
	soft, hard chan struct{}
	closeSoft  sync.Once
	closeHard  sync.Once
	// done is closed when nothing of the machine runs any more.
	done chan struct{}
}

func newRunner(spec Spec) *runner {
	return &runner{spec: spec, soft: make(chan struct{}), hard: make(chan struct{}), done: make(chan struct{})}
}

func (r *runner) powerOff(f force) {
	if f == hard {
		r.closeHard.Do(func() { close(r.hard) })
		return
	}
	r.closeSoft.Do(func() { close(r.soft) })
}

func (r *runner) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("machine: wait for %s to stop: %w", r.spec.Name, context.Cause(ctx))
	}
}

// ending is how a boot came to its end.
type ending struct {
	// reboot asks for the next boot.
	reboot bool
	// message is empty when the end was asked for.
	message string
	// poweredOff is an orderly end that came from inside.
	poweredOff bool
}

// exitReboot is systemd-nspawn's exit code for "boot me again" with --keep-unit (systemd-nspawn(1), EXIT STATUS).
const exitReboot = 133

// runMachine is a machine's life from switching on to off; it owns the machine's mount, link and processes. The context
// ends it as the power button does.
func (m *Manager) runMachine(ctx context.Context, r *runner) {
	message := ""
	defer func() { m.dropRunner(r, message) }()
	name := r.spec.Name
	// What is made must be removed again after the context has ended, too.
	undo := context.WithoutCancel(ctx)
	fail := func(step string, err error) {
		if err != nil {
			message = fmt.Sprintf("%s: %v", step, err)
			m.log.Error("machine failed", "machine", name, "step", step, "error", err)
		}
	}
	if err := m.mountDisk(r.spec); err != nil {
		fail("mount the disk", err)
		return
	}
	defer func() { fail("unmount the disk", m.unmountDisk(name)) }()
	defer func() { fail("remove the link", m.network.Detach(undo, name)) }()
	if err := os.Truncate(m.ConsolePath(name), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		fail("empty the console's log", err)
		return
	}
	for {
		end, err := m.bootOnce(ctx, r)
		if err != nil {
			fail("boot", err)
			return
		}
		if !end.reboot {
			message = end.message
			if end.poweredOff {
				fail("keep the power switch", m.setOn(name, false))
			}
			return
		}
	}
}

// bootOnce boots a machine with a fresh link and follows it to the end of that boot.
func (m *Manager) bootOnce(ctx context.Context, r *runner) (end ending, err error) {
	name := r.spec.Name
	m.enter(name, Starting, func(s *Status) { s.Boot++ })
	namespace, err := m.network.Attach(ctx, name, r.spec.Address)
	if err != nil {
		return end, err
	}
	groups, err := makeCgroups(m.cfg.Cgroup + "/" + name)
	if err != nil {
		return end, err
	}
	defer func() { err = errors.Join(err, groups.remove(), m.dropLeader(name)) }()
	notes, err := listenNotes(name)
	if err != nil {
		return end, err
	}
	defer notes.close()
	console, err := os.OpenFile(m.ConsolePath(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return end, err
	}
	defer console.Close()
	argv := groups.join(nspawnArgv(name, m.rootPath(name), namespace))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.Env = nspawnEnv(notes.address())
	// A process group of its own: a terminal's interrupt is for the lab, which then shuts its machines down in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return end, fmt.Errorf("start systemd-nspawn (Debian package systemd-container): %w", err)
	}
	f := follower{Manager: m, runner: r, cmd: cmd, notes: notes, groups: groups}
	return f.follow(ctx), nil
}

// signalReboot asks the machine's systemd for a reboot: SIGRTMIN+5 (systemd(1), SIGNALS).
func (m *Manager) signalReboot(name string) error {
	pid, err := m.Leader(name)
	if err != nil {
		return err
	}
	const sigRTMin = 34 // as glibc counts, which keeps two for itself
	if err := syscall.Kill(pid, syscall.Signal(sigRTMin+5)); err != nil {
		return fmt.Errorf("machine: reboot %s: %w", name, err)
	}
	return nil
}
