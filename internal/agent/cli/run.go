package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/agent"
	"github.com/hawser-io/hawser/internal/agent/artifact"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/drift"
	"github.com/hawser-io/hawser/internal/agent/host"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/host/detour"
	"github.com/hawser-io/hawser/internal/agent/host/socket"
	"github.com/hawser-io/hawser/internal/agent/notify"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/store"
)

func (p *Program) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the agent; hawser-agent.service does",
		Args:  cobra.NoArgs,
		RunE:  ran(func(ctx context.Context, _ []string) error { return p.run(ctx) }),
	}
}

func (p *Program) run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	log := p.logger()
	return agent.Run(ctx, agent.Options{
		Store: store.NewWith(p.State, atomicfile.Writer{Before: p.Before}), Socket: p.Socket, Service: p.Service,
		Notify:   notify.Socket(p.Environment("NOTIFY_SOCKET")),
		Watchdog: notify.WatchdogInterval(p.Environment("WATCHDOG_USEC")),
		Machine: func(connect agent.Connect) (agent.Machine, error) {
			return agent.NewConverging(p.Host(host.Options{
				Root: p.Root, Manager: connect.Manager, Log: log, Reachable: connect.Reach, Before: p.Before,
				Artifacts: artifact.NewManager(connect.Dialer, connect.Identity),
			}), p.Root), nil
		},
		Drift: drift.NewWatcher(p.Root, log),
		Readiness: func(slot string) string {
			return fmt.Sprintf("http://127.0.0.1:%d/healthz/ready", plan.Slot(slot).Ports().Status)
		},
		ProxyCertificate: func(slot string) string {
			return filepath.Join("/", p.Root, plan.Slot(slot).CertificateFile())
		},
		Serving: func() (int, error) {
			open, err := socket.Accepted(plan.AccountID, plan.InboundPort)
			return len(open), err
		},
		Connections:    proxyConnections{},
		Detour:         detour.New(command.Exec{}),
		Now:            p.Now,
		MetricsAddress: p.Environment("HAWSER_METRICS_ADDRESS"),
		Log:            log,
	})
}

// proxyConnections are those of the proxy, in the kernel.
type proxyConnections struct{}

func (proxyConnections) List() ([]socket.Connection, error) {
	return socket.Connections(plan.AccountID, 0)
}

func (proxyConnections) Timeouts() (int64, error) { return socket.Timeouts("/proc") }

func (proxyConnections) End(connection socket.Connection) error { return connection.End() }

// logger writes lines for people. The journal has its own clock.
func (p *Program) logger() *slog.Logger {
	options := &slog.HandlerOptions{}
	if p.Environment("JOURNAL_STREAM") != "" {
		options.ReplaceAttr = func(groups []string, attribute slog.Attr) slog.Attr {
			if len(groups) == 0 && attribute.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return attribute
		}
	}
	return slog.New(slog.NewTextHandler(p.Stderr, options))
}
