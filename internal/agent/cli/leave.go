package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/agent"
	"github.com/hawser-io/hawser/internal/agent/leave"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/progress"
	"github.com/hawser-io/hawser/internal/agent/store"
)

func (p *Program) leaveCommand() *cobra.Command {
	force := false
	command := &cobra.Command{
		Use:   "leave",
		Short: "Take this machine out of the mesh and put the host back as it was",
		Long: `Take this machine out of the mesh: callers are turned away, the manager is told,
and the host is put back as it was before it joined. It works without a network,
and may be repeated.`,
		Args: cobra.NoArgs,
		RunE: ran(func(ctx context.Context, _ []string) error { return p.leave(ctx, force) }),
	}
	command.Flags().BoolVar(&force, "force", false, "go on to the end whatever fails, and forget what could not be put back")
	return command
}

func (p *Program) leave(ctx context.Context, force bool) error {
	unlock, err := lock(p.Lock)
	if err != nil {
		return err
	}
	defer unlock()
	kept := store.New(p.State)
	if _, err := kept.Enrollment(); errors.Is(err, store.ErrNone) {
		p.say("This host is not a machine of a mesh; making sure that nothing is left.\n\n")
	} else {
		p.say("Leaving the mesh\n\n")
	}
	printer := progress.New(p.Stdout, p.coloured())
	leaver := &leave.Leaver{
		Store: kept, Service: p.Service, Agent: local.NewClient(p.Socket), Manager: leave.RealManager{Known: func() []string { return gateways(kept) }},
		Host: p.host(), Progress: printer, DrainLimit: drainLimit(kept), Force: force,
	}
	if err := leaver.Run(ctx); err != nil {
		printer.Close()
		return err
	}
	p.say("\nThe host has left. The package stays: 'hawser-agent join' brings the machine back.\n")
	return nil
}

// gateways are the manager's further addresses as far as they were kept.
func gateways(kept *store.Store) []string {
	enrollment, err := kept.Enrollment()
	if err != nil {
		return nil
	}
	state, err := kept.Desired()
	if err != nil {
		return nil
	}
	return agent.Gateways(state, enrollment.Manager)
}
