// Package unit starts, stops and looks at systemd's units. In come names of units, out comes their state as systemd and the
// kernel have it. It writes no unit file and decides nothing.
package unit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command"
)

// Runner runs programs; command.Exec does.
type Runner interface {
	Run(ctx context.Context, c command.Command) ([]byte, error)
}

// State of a unit.
type State struct {
	// Active: it runs, or systemd is about to start it again.
	Active bool
	// Stopping: it has been told to end, and has not yet.
	Stopping bool
	// Stale: its files changed since systemd read them.
	Stale bool
	// Result of the last run ("success", "exit-code").
	Result string
	// PID of the main process, 0 if none runs.
	PID int
	// Environment of the running process by name; nil if none runs.
	Environment map[string]string
}

// Systemd is systemd as systemctl(1) shows it.
type Systemd struct {
	runner Runner
	// proc is where procfs(5) is mounted.
	proc string
}

// New returns systemd, run through runner.
func New(runner Runner, proc string) *Systemd { return &Systemd{runner: runner, proc: proc} }

// States returns the states of units, by one call of systemctl.
func (s *Systemd) States(ctx context.Context, units ...string) (map[string]State, error) {
	args := append([]string{"show", "--property=Id,ActiveState,MainPID,NeedDaemonReload,Result"}, units...)
	out, err := s.runner.Run(ctx, command.New("systemctl", args...))
	if err != nil {
		return nil, fmt.Errorf("look at units: %w", err)
	}
	states := map[string]State{}
	for block := range strings.SplitSeq(string(out), "\n\n") {
		properties := parse(block)
		state := State{Stale: properties["NeedDaemonReload"] == "yes", Result: properties["Result"]}
		switch properties["ActiveState"] {
		case "active", "activating", "reloading":
			state.Active = true
		case "deactivating":
			state.Stopping = true
		}
		if pid, _ := strconv.Atoi(properties["MainPID"]); pid > 0 && state.Active {
			state.PID, state.Environment = pid, s.environment(pid)
		}
		states[properties["Id"]] = state
	}
	return states, nil
}

func parse(block string) map[string]string {
	properties := map[string]string{}
	for line := range strings.Lines(block) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), "="); found {
			properties[name] = value
		}
	}
	return properties
}

// environment of a process, as it was when its program was started. A process that has just ended has none.
func (s *Systemd) environment(pid int) map[string]string {
	content, err := os.ReadFile(filepath.Join(s.proc, strconv.Itoa(pid), "environ"))
	if err != nil {
		return nil
	}
	variables := map[string]string{}
	for variable := range bytes.SplitSeq(content, []byte{0}) {
		if name, value, found := strings.Cut(string(variable), "="); found {
			variables[name] = value
		}
	}
	return variables
}

// Start starts a unit and returns when systemd has executed its program. One that is stopping is started when it has stopped: to start it at once would
// cancel that for whoever asked for it.
func (s *Systemd) Start(ctx context.Context, unit string) error {
	if err := s.stopped(ctx, unit); err != nil {
		return err
	}
	return s.control(ctx, "start", unit)
}

// stopped waits while a unit is stopping. To stop it as well would tell its end, and cancel the restart that it may be part of.
func (s *Systemd) stopped(ctx context.Context, unit string) error {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	ticker := time.NewTicker(stoppingLook)
	defer ticker.Stop()
	for {
		states, err := s.States(ctx, unit)
		if err != nil || !states[unit].Stopping {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("start %s, which is stopping: %w", unit, ctx.Err())
		case <-ticker.C:
		}
	}
}

// stoppingLook is how often is looked whether a unit has stopped.
const stoppingLook = 250 * time.Millisecond

// Restart stops a unit, lets it drain, and starts it.
func (s *Systemd) Restart(ctx context.Context, unit string) error {
	return s.control(ctx, "restart", unit)
}

// Stop stops a unit and returns when it has ended. A unit that does not run, or is not there, is stopped already.
func (s *Systemd) Stop(ctx context.Context, unit string) error {
	err := s.control(ctx, "stop", unit)
	if failed, ok := errors.AsType[*command.Error](err); ok && failed.Code == notLoaded {
		return nil
	}
	return err
}

// notLoaded is systemctl's exit status for a unit that is not there (systemctl(1), exit status).
const notLoaded = 5

// stopTimeout is beyond what a unit may take to drain.
const stopTimeout = 5 * time.Minute

func (s *Systemd) control(ctx context.Context, verb, unit string) error {
	c := command.New("systemctl", verb, unit)
	c.Timeout = stopTimeout
	if _, err := s.runner.Run(ctx, c); err != nil {
		return fmt.Errorf("%s %s: %w; journalctl -u %[2]s tells more", verb, unit, err)
	}
	return nil
}

// Reload makes systemd read its unit files again.
func (s *Systemd) Reload(ctx context.Context) error {
	if _, err := s.runner.Run(ctx, command.New("systemctl", "daemon-reload")); err != nil {
		return fmt.Errorf("make systemd read its units: %w", err)
	}
	return nil
}

// Forget clears what systemd remembers of failed units.
func (s *Systemd) Forget(ctx context.Context, unit string) {
	// Nothing to forget is an error to systemctl and none to us.
	_, _ = s.runner.Run(ctx, command.New("systemctl", "reset-failed", unit))
}

// Version of systemd, 0 if unknown.
func (s *Systemd) Version(ctx context.Context) int {
	out, err := s.runner.Run(ctx, command.New("systemctl", "--version"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(out))
	if len(fields) < 2 {
		return 0
	}
	version, _ := strconv.Atoi(fields[1])
	return version
}
