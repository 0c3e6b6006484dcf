package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/gateway"
	"github.com/hawser-io/hawser/internal/agent/notify"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// Service is the agent's own systemd service.
type Service interface {
	// Retire disables it and has it stopped, without waiting.
	Retire(ctx context.Context) error
}

// Options of the daemon.
type Options struct {
	Store *store.Store
	// Socket is the path of the local socket.
	Socket string
	// Machine makes the host's side. connect makes connections to the manager for it.
	Machine func(connect Connect) (Machine, error)
	// Drift tells of changes to the host that somebody else made.
	Drift   Drift
	Service Service
	Notify  notify.Socket
	// Watchdog is how often to tell systemd that the agent is alive; 0 for never.
	Watchdog time.Duration
	// Readiness is the URL that tells whether the proxy in a slot is ready, ProxyCertificate the path of its certificate.
	Readiness        func(slot string) string
	ProxyCertificate func(slot string) string
	// Serving counts the connections that callers have to the proxy.
	Serving func() (int, error)
	// Connections are the proxy's, Detour leads them elsewhere.
	Connections gateway.Connections
	Detour      gateway.Detour
	// Now is the host's clock: what is said and done about dates goes by it. What lasts goes by the monotonic clock, which nobody sets.
	Now func() time.Time
	// MetricsAddress is HOST:PORT that Prometheus may ask at; empty for none.
	MetricsAddress string
	Log            *slog.Logger
}

// Connect is how the host's side reaches the manager.
type Connect struct {
	// Manager is HOST:PORT.
	Manager  string
	Dialer   *dial.Dialer
	Identity func() (*store.Identity, error)
}

// Reach returns nil if a new connection to the manager can be made.
func (c Connect) Reach(ctx context.Context) error {
	identity, err := c.Identity()
	if err != nil {
		return err
	}
	return c.Dialer.Reach(ctx, dial.IdentityTLS(identity))
}
