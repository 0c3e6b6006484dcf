package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/agent"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/store"
)

func (p *Program) drainCommand() *cobra.Command {
	proxy := false
	command := &cobra.Command{
		Use:   "drain",
		Short: "Take this machine out of rotation until its agent is restarted",
		Long: `Take this machine out of rotation: callers turn elsewhere, and the command ends
when those that were being served are, or when the time is over that the policy
gives (spec.proxy.drain). hawser-drain.service does this before the host goes
down. The machine stays in the mesh, and can call others as before;
'systemctl restart hawser-agent' puts it back into rotation.`,
		Args: cobra.NoArgs,
		RunE: ran(func(ctx context.Context, _ []string) error { return p.drain(ctx, proxy) }),
	}
	command.Flags().BoolVar(&proxy, "proxy", false, "only until the proxy, which is about to stop, is ready again; its unit does this when it is stopped")
	return command
}

func (p *Program) drain(ctx context.Context, proxy bool) error {
	ctx, cancel := context.WithTimeout(ctx, drainLimit(store.New(p.State)))
	defer cancel()
	client := local.NewClient(p.Socket)
	if proxy {
		return client.DrainProxy(ctx)
	}
	if err := client.Drain(ctx); err != nil {
		return err
	}
	p.say("Drained: callers send no more requests. 'systemctl restart hawser-agent' puts the machine back into rotation.\n")
	return nil
}

// drainLimit is how long draining may take by the state that is kept.
func drainLimit(kept *store.Store) time.Duration {
	state, err := kept.Desired()
	if err != nil {
		state = nil
	}
	return agent.DrainLimit(state)
}
