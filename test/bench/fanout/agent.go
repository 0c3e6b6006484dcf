package fanout

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/subscribe"
)

// agent is a machine as far as a manager sees it. Stream, pauses and reports are those of the real agent's subscription; it applies
// at once whatever it gets.
type agent struct {
	name string
	// account that its token is of.
	account string
	config  *tls.Config
	fleet   *fleet
	// news has capacity one: there is another report.
	news chan struct{}

	mu sync.Mutex
	// applied is the generation that it got last, before the one that it had when something new was expected.
	applied, before string
	// acknowledged is when a report of a new generation was handed to the stream; zero while it is expected.
	acknowledged time.Time
}

var (
	_ subscribe.Opener   = (*agent)(nil)
	_ subscribe.Receiver = (*agent)(nil)
	_ subscribe.Reporter = (*agent)(nil)
)

func (a *agent) run(ctx context.Context) {
	// Run returns nil alone.
	_ = subscribe.New(a, a, a, func(string, error) {}, slog.New(slog.DiscardHandler)).Run(ctx)
}

// Open connects as the real agent does, but to one address.
func (a *agent) Open(ctx context.Context) (subscribe.Stream, string, io.Closer, error) {
	connection, err := grpc.NewClient("passthrough:///"+a.fleet.address, append(dial.Transport(),
		grpc.WithTransportCredentials(credentials.NewTLS(a.config)), grpc.WithContextDialer(a.fleet.dial))...)
	if err != nil {
		return nil, "", nil, err
	}
	stream, err := hawserv1.NewMachineServiceClient(connection).Sync(ctx)
	if err != nil {
		_ = connection.Close()
		return nil, "", nil, err
	}
	return acknowledging{stream, a}, a.fleet.address, connection, nil
}

// acknowledging notes when a report was handed to the stream that says that what was expected is applied.
type acknowledging struct {
	hawserv1.MachineService_SyncClient
	agent *agent
}

func (s acknowledging) Send(request *hawserv1.SyncRequest) error {
	err := s.MachineService_SyncClient.Send(request)
	if err == nil && request.GetReport() != nil {
		s.agent.mu.Lock()
		defer s.agent.mu.Unlock()
		if s.agent.acknowledged.IsZero() && request.GetReport().GetAppliedGeneration() != s.agent.before {
			s.agent.acknowledged = time.Now()
			s.agent.fleet.pending.Add(-1)
		}
	}
	return err
}

func (a *agent) State(state *hawserv1.DesiredState) {
	a.mu.Lock()
	a.applied = state.GetGeneration()
	a.mu.Unlock()
	if a.name == loneName {
		a.fleet.sample.Store(state)
	}
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func (a *agent) Token(*hawserv1.IstioToken) {}

func (a *agent) Removed(string) {}

func (a *agent) Hello(context.Context) *hawserv1.Hello {
	report := a.Report()
	return &hawserv1.Hello{
		Host: &hawserv1.HostFacts{
			Hostname: a.name, MachineId: a.name, Architecture: "amd64", OperatingSystem: "Debian GNU/Linux 12 (bookworm)", KernelVersion: "6.1.0-18-amd64",
			GlibcVersion: "2.36", AgentVersion: "0.1.0", Addresses: []string{"172.31.0.11"}, UnixTime: time.Now().Unix(), BootId: a.name,
		},
		Generation: report.GetAppliedGeneration(),
		// It holds a token, as one that comes back does: minting is the API server's work.
		TokenExpiry: time.Now().Add(23 * time.Hour).Unix(), ServiceAccount: a.account,
		Report: report,
	}
}

func (a *agent) Report() *hawserv1.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	ready := a.applied != ""
	report := &hawserv1.Report{AppliedGeneration: a.applied, Healthy: ready, Proxy: &hawserv1.ProxyStatus{Version: "1.31.4", Slot: "a", Ready: ready}}
	for _, kind := range []string{"ConfigCurrent", "ProxyReady", "IdentityValid", "Intercepting"} {
		report.Conditions = append(report.Conditions, &hawserv1.Condition{Type: kind, Status: "True", Reason: kind})
	}
	return report
}

func (a *agent) Watch() (<-chan struct{}, func()) { return a.news, func() {} }

// counted counts what is received.
type counted struct {
	net.Conn
	received *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}
