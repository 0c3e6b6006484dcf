package interception

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// SwitchUnit is the transient timer of the dead man's switch.
const (
	switchName = "hawser-interception-undo"
	SwitchUnit = switchName + ".timer"
)

// DefaultDelay of the switch: with what systemd and the script need on a slow host, rules are gone within half a minute.
const DefaultDelay = 27 * time.Second

// arm sets the switch, or sets it anew: a timer of systemd's runs the script that takes the rules away, whatever becomes of the
// agent meanwhile.
func (t *Traffic) arm(ctx context.Context, backend plan.Backend) error {
	script := filepath.Join(t.options.Directory, "undo-interception.sh")
	if err := t.replace(script, []byte(undoScript)); err != nil {
		return fmt.Errorf("set the dead man's switch: %w", err)
	}
	if err := t.Disarm(ctx); err != nil {
		return err
	}
	c := command.New("systemd-run", "--quiet", "--collect", "--unit="+switchName, fmt.Sprintf("--on-active=%dms", t.options.Delay.Milliseconds()), "--timer-property=AccuracySec=100ms",
		"--description=Take back Hawser's traffic rules unless they are confirmed", "/bin/sh", script, string(backend))
	if _, err := t.options.Runner.Run(ctx, c); err != nil {
		return fmt.Errorf("set the dead man's switch: %w", err)
	}
	return nil
}

// Disarm stops the switch. One that is not set is fine.
func (t *Traffic) Disarm(ctx context.Context) error {
	_, err := t.options.Runner.Run(ctx, command.New("systemctl", "stop", SwitchUnit))
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

func (t *Traffic) recordPath() string { return filepath.Join(t.options.Directory, "interception.json") }

// record returns what was kept; the zero value if nothing was, or if it cannot be read: the rules are then set again.
func (t *Traffic) record() applied {
	var kept applied
	content, err := os.ReadFile(t.recordPath())
	if err != nil || json.Unmarshal(content, &kept) != nil {
		return applied{}
	}
	return kept
}

func (t *Traffic) keep(record applied) error { return t.keepAs(t.recordPath(), record) }

// keepAs keeps what was made of the packet filter, so that it can be told whether it is whole.
func (t *Traffic) keepAs(path string, record any) error {
	content, err := json.Marshal(record)
	if err == nil {
		err = t.replace(path, content)
	}
	if err != nil {
		return fmt.Errorf("keep which traffic rules are set: %w", err)
	}
	return nil
}

// replace writes a file that is the agent's alone, in a directory that the proxy's user passes through.
func (t *Traffic) replace(path string, content []byte) error {
	if err := t.options.Files.MakeDirectory(t.options.Directory, 0o755); err != nil {
		return err
	}
	if err := t.options.Files.Clear(path); err != nil {
		return err
	}
	return t.options.Files.Write(atomicfile.File{Path: path, Mode: 0o600}, content)
}

func (t *Traffic) forget() error { return t.forgetAs(t.recordPath()) }

func (t *Traffic) forgetAs(path string) error {
	t.options.Files.Step("remove " + path)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget which traffic rules are set: %w", err)
	}
	return nil
}
