// Package service starts and stops the agent's own systemd service, and knows whether the host is shutting down. It must
// touch no other unit: the proxy's are the host package's.
package service

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Unit of the agent.
const Unit = "hawser-agent.service"

// Systemd is the host's service manager.
type Systemd struct{}

// Start enables the agent's service and starts it; one that runs already goes on.
func (Systemd) Start(ctx context.Context) error {
	if err := systemctl(ctx, "reset-failed", Unit); err != nil && !strings.Contains(err.Error(), "not loaded") {
		return err
	}
	return systemctl(ctx, "enable", "--now", Unit)
}

// Stop stops the agent's service and disables it. Repeating it is fine.
func (Systemd) Stop(ctx context.Context) error {
	return systemctl(ctx, "disable", "--now", Unit)
}

// Retire disables the service and has it stopped once the caller, which is the service itself, has answered.
func (Systemd) Retire(ctx context.Context) error {
	if err := systemctl(ctx, "disable", Unit); err != nil {
		return err
	}
	return systemctl(ctx, "stop", "--no-block", Unit)
}

// ShuttingDown reports whether the host is on its way down: then the agent ends for good, else it may only be restarted.
func (Systemd) ShuttingDown(ctx context.Context) bool {
	// The exit code says no more than the word does.
	output, _ := exec.CommandContext(ctx, "systemctl", "is-system-running").Output()
	return strings.TrimSpace(string(output)) == "stopping"
}

func systemctl(ctx context.Context, arguments ...string) error {
	var output bytes.Buffer
	command := exec.CommandContext(ctx, "systemctl", arguments...)
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s (see `journalctl -u %s`)", strings.Join(arguments, " "), err, strings.TrimSpace(output.String()), Unit)
	}
	return nil
}
