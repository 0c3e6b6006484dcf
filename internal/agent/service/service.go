// Package service starts and stops the agent's own systemd services. It must touch no other unit: the proxy's are the host package's.
package service

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/command"
)

// Unit of the agent.
const Unit = "hawser-agent.service"

// drainUnit drains the machine when it is stopped, as it is before the host goes down. The agent's has it started.
const drainUnit = "hawser-drain.service"

// startTime is beyond what systemd gives a service to say that it is ready (systemd-system.conf(5), DefaultTimeoutStartSec).
const startTime = 2 * time.Minute

// Runner runs programs; command.Exec does.
type Runner interface {
	Run(ctx context.Context, c command.Command) ([]byte, error)
}

// Systemd is the host's service manager.
type Systemd struct{ runner Runner }

// New returns systemd, run through runner.
func New(runner Runner) Systemd { return Systemd{runner} }

// Start enables the agent's service and starts it. One that runs already goes on, unless it has to begin anew, since what it read at
// its start is no longer so.
func (s Systemd) Start(ctx context.Context, anew bool) error {
	if err := s.systemctl(ctx, "reset-failed", Unit); err != nil && !strings.Contains(err.Error(), "not loaded") {
		return err
	}
	if err := s.systemctl(ctx, "enable", Unit); err != nil {
		return err
	}
	if anew {
		return s.systemctl(ctx, "restart", Unit)
	}
	return s.systemctl(ctx, "start", Unit)
}

// Stop stops the agent's service and disables it. Repeating it is fine.
func (s Systemd) Stop(ctx context.Context) error {
	if err := s.systemctl(ctx, "disable", "--now", Unit); err != nil {
		return err
	}
	// There is no agent any more that it would drain.
	return s.systemctl(ctx, "stop", drainUnit)
}

// Retire disables the service and has it stopped once the caller, which is the service itself, has answered.
func (s Systemd) Retire(ctx context.Context) error {
	if err := s.systemctl(ctx, "disable", Unit); err != nil {
		return err
	}
	return s.systemctl(ctx, "stop", "--no-block", Unit, drainUnit)
}

func (s Systemd) systemctl(ctx context.Context, arguments ...string) error {
	c := command.New("systemctl", arguments...)
	c.Timeout = startTime
	if _, err := s.runner.Run(ctx, c); err != nil {
		return fmt.Errorf("%w; `journalctl -u %s` tells more", err, Unit)
	}
	return nil
}
