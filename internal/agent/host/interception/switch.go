package interception

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// SwitchUnit is the transient timer of the dead man's switch, and Delay its time.
const (
	switchName = "hawser-interception-undo"
	SwitchUnit = switchName + ".timer"
	Delay      = "30s"
)

// arm sets the switch, or sets it anew: a timer of systemd's runs the script that takes the rules away, whatever becomes of the
// agent meanwhile.
func (t *Traffic) arm(ctx context.Context, backend plan.Backend) error {
	if err := os.MkdirAll(t.directory, 0o755); err != nil {
		return fmt.Errorf("set the dead man's switch: %w", err)
	}
	script := filepath.Join(t.directory, "undo-interception.sh")
	if err := os.WriteFile(script, []byte(undoScript), 0o600); err != nil {
		return fmt.Errorf("set the dead man's switch: %w", err)
	}
	if err := t.Disarm(ctx); err != nil {
		return err
	}
	c := command.New("systemd-run", "--quiet", "--collect", "--unit="+switchName, "--on-active="+Delay, "--timer-property=AccuracySec=100ms",
		"--description=Take back Hawser's traffic rules unless they are confirmed", "/bin/sh", script, string(backend))
	if _, err := t.runner.Run(ctx, c); err != nil {
		return fmt.Errorf("set the dead man's switch: %w", err)
	}
	return nil
}

// Disarm stops the switch. One that is not set is fine.
func (t *Traffic) Disarm(ctx context.Context) error {
	_, err := t.runner.Run(ctx, command.New("systemctl", "stop", SwitchUnit))
	const notLoaded = 5 // systemctl's exit code for a unit that there is none of
	if failure, ok := errors.AsType[*command.Error](err); ok && failure.Code == notLoaded {
		return nil
	}
	if err != nil {
		return fmt.Errorf("disarm the dead man's switch: %w", err)
	}
	return nil
}

// applied is what Apply keeps, so that Observe can tell whether the rules are whole.
type applied struct {
	Backend     plan.Backend `json:"backend"`
	Applied     string       `json:"applied"`
	Fingerprint string       `json:"fingerprint"`
}

func (t *Traffic) recordPath() string { return filepath.Join(t.directory, "interception.json") }

// record returns what was kept; the zero value if nothing was, or if it cannot be read: the rules are then set again.
func (t *Traffic) record() applied {
	var kept applied
	content, err := os.ReadFile(t.recordPath())
	if err != nil || json.Unmarshal(content, &kept) != nil {
		return applied{}
	}
	return kept
}

func (t *Traffic) keep(record applied) error {
	content, err := json.Marshal(record)
	if err == nil {
		temporary := t.recordPath() + ".new"
		if err = os.WriteFile(temporary, content, 0o600); err == nil {
			err = os.Rename(temporary, t.recordPath())
		}
	}
	if err != nil {
		return fmt.Errorf("keep which traffic rules are set: %w", err)
	}
	return nil
}

func (t *Traffic) forget() error {
	if err := os.Remove(t.recordPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget which traffic rules are set: %w", err)
	}
	return nil
}
