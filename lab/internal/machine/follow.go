package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// plugTimeout is how long systemd-nspawn may live on without the machine's PID 1.
const plugTimeout = 3 * time.Second

// follower follows one boot.
type follower struct {
	*Manager
	runner *runner
	cmd    *exec.Cmd
	notes  *notes
	groups cgroups
	// wanted is set once somebody asked for the machine to be off.
	wanted bool
	// killed is set once the machine was ended by force, and cause says why, if nobody asked for it.
	killed bool
	cause  string
}

// follow turns what the machine and its owner say into states, until systemd-nspawn has ended and been waited for.
func (f *follower) follow(ctx context.Context) ending {
	exited := make(chan error, 1)
	go func() { exited <- f.cmd.Wait() }()
	boot := time.NewTimer(f.cfg.BootTimeout)
	defer boot.Stop()
	shutdown := time.NewTimer(f.cfg.StopTimeout)
	shutdown.Stop()
	defer shutdown.Stop()
	pressed, pulled, done := f.runner.soft, f.runner.hard, ctx.Done()
	press := func() {
		pressed, done = nil, nil
		f.wanted = true
		f.enter(f.runner.spec.Name, Stopping, nil)
		f.signal(syscall.SIGTERM)
		shutdown.Reset(f.cfg.StopTimeout)
	}
	for {
		select {
		case note := <-f.notes.incoming:
			f.heed(note, boot)
		case <-boot.C:
			f.bootIsLate()
		case <-pressed:
			press()
		case <-done:
			press()
		case <-pulled:
			pulled, f.wanted = nil, true
			f.kill("")
			shutdown.Reset(plugTimeout)
		case <-shutdown.C:
			f.kill("the shutdown took too long, so the power was cut")
			shutdown.Reset(plugTimeout)
		case err := <-exited:
			return f.conclude(err)
		}
	}
}

func (f *follower) heed(n note, boot *time.Timer) {
	name := f.runner.spec.Name
	if n.leader != 0 {
		if err := f.saveLeader(name, n.leader); err != nil {
			f.log.Error("machine failed", "machine", name, "step", "keep the leader", "error", err)
		}
		f.update(func() { f.setStatus(func(s *Status) { s.Leader = n.leader }) })
	}
	if n.ready && !f.wanted {
		boot.Stop()
		f.enter(name, Running, nil)
	}
}

// bootIsLate leaves a machine alone whose systemd runs but does not finish booting: its owner can look into it.
func (f *follower) bootIsLate() {
	name := f.runner.spec.Name
	if _, err := f.Leader(name); err != nil {
		f.kill("systemd did not start; see " + f.ConsolePath(name))
		return
	}
	f.enter(name, Running, func(s *Status) {
		s.Message = fmt.Sprintf("the boot has not finished after %s; see systemctl list-jobs in the machine", f.cfg.BootTimeout)
	})
}

func (f *follower) setStatus(change func(*Status)) {
	now := f.status[f.runner.spec.Name]
	change(&now)
	f.status[f.runner.spec.Name] = now
}

// kill pulls the plug. PID 1 goes first: systemd-nspawn then ends of itself, and has waited for it. When it has not,
// the second call ends all there is.
func (f *follower) kill(cause string) {
	again := f.killed
	if !again {
		f.killed, f.cause = true, cause
	}
	if pid, err := f.Leader(f.runner.spec.Name); err == nil && !again {
		f.pulled(syscall.Kill(pid, syscall.SIGKILL))
		return
	}
	f.signal(syscall.SIGKILL)
	f.pulled(f.groups.kill())
}

func (f *follower) pulled(err error) {
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		f.log.Error("machine failed", "machine", f.runner.spec.Name, "step", "kill its processes", "error", err)
	}
}

func (f *follower) signal(sig syscall.Signal) {
	if err := f.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		f.log.Error("machine failed", "machine", f.runner.spec.Name, "step", "signal", "error", err)
	}
}

func (f *follower) conclude(err error) ending {
	var exit *exec.ExitError
	switch {
	case f.cause != "":
		return ending{message: f.cause}
	case f.wanted:
		return ending{}
	case err == nil:
		return ending{message: "powered off from inside", poweredOff: true}
	case errors.As(err, &exit) && exit.ExitCode() == exitReboot:
		return ending{reboot: true}
	}
	return ending{message: fmt.Sprintf("systemd-nspawn ended unexpectedly (%v); see %s", err, f.ConsolePath(f.runner.spec.Name))}
}
