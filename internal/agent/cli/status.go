package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/store"
)

func (p *Program) statusCommand() *cobra.Command {
	output, watch := "", false
	command := &cobra.Command{
		Use:   "status",
		Short: "Show how this machine is doing in the mesh",
		Long: `Show how this machine is doing in the mesh, as its agent knows it.

The exit code says whether the agent answered, not whether all is well: that is
"ready" and "healthy" of -o json, whose fields stay as they are from version to
version.`,
		Example: `  hawser-agent status
  hawser-agent status --watch
  hawser-agent status -o json | jq .ready`,
		Args: cobra.NoArgs,
		RunE: ran(func(ctx context.Context, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if watch {
				return p.watchStatus(ctx, output)
			}
			return p.status(ctx, output)
		}),
	}
	outputFlag(command, &output)
	command.Flags().BoolVarP(&watch, "watch", "w", false, "go on and show each change; with -o json a line for each")
	return command
}

func (p *Program) status(ctx context.Context, output string) error {
	status, err := local.NewClient(p.Socket).Status(ctx)
	if err != nil {
		return p.whyNoStatus(err)
	}
	if output == "json" {
		return writeJSON(p.Stdout, status, "  ")
	}
	return writeStatus(p.Stdout, status, time.Now(), p.coloured())
}

// home puts the cursor at the top and empties the screen (ECMA-48 CUP, ED).
const home = "\x1b[H\x1b[2J"

func (p *Program) watchStatus(ctx context.Context, output string) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	var failure error
	first := true
	err := local.NewClient(p.Socket).Watch(ctx, func(status local.Status) bool {
		if output == "json" {
			failure = writeJSON(p.Stdout, status, "")
		} else {
			p.separate(first)
			failure = writeStatus(p.Stdout, status, time.Now(), p.coloured())
		}
		first = false
		return failure == nil
	})
	switch {
	case failure != nil:
		return failure
	case ctx.Err() != nil:
		return nil
	default:
		return p.whyNoStatus(err)
	}
}

func (p *Program) separate(first bool) {
	if p.Terminal {
		p.say(home)
	} else if !first {
		p.say("\n")
	}
}

// whyNoStatus says what to do when no agent answers.
func (p *Program) whyNoStatus(err error) error {
	if !errors.Is(err, local.ErrNotRunning) {
		return err
	}
	enrollment, failure := store.New(p.State).Enrollment()
	switch {
	case errors.Is(failure, fs.ErrPermission):
		return errors.New("the agent's state is for root only: run this command with sudo")
	case errors.Is(failure, store.ErrNone):
		return errors.New("this host is not a machine of a mesh: `hawser-agent join` makes it one")
	case failure != nil:
		return fmt.Errorf("%w, and what is stored cannot be read: %w", err, failure)
	case enrollment.Removed != "":
		return fmt.Errorf("the manager has removed machine %s/%s (%s), and the agent is putting this host back: `journalctl -u hawser-agent` tells how far it is, `hawser-agent leave` finishes it",
			enrollment.Namespace, enrollment.Name, enrollment.Removed)
	default:
		return fmt.Errorf("this host is machine %s/%s, but %w: `systemctl start hawser-agent`, and `journalctl -u hawser-agent` says why it ended",
			enrollment.Namespace, enrollment.Name, err)
	}
}

func writeJSON(w io.Writer, value any, indent string) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", indent)
	return encoder.Encode(value)
}
