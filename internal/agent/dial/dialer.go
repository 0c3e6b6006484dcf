package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/version"
)

const (
	// connectTimeout of one address; a gateway that drops packets is given up for this attempt.
	connectTimeout = 5 * time.Second
	// attemptTimeout of one attempt, TLS included. A manager that thousands come to at the same time takes one after the other, and lets them wait for
	// 15 s: to come again sooner would only take a place further behind.
	attemptTimeout = 20 * time.Second
	// keepaliveTime is the shortest that grpc-go allows. It finds a manager that hangs behind a gateway that works.
	keepaliveTime = 10 * time.Second
	// keepaliveTimeout is how long a manager may take to answer.
	keepaliveTimeout = 3 * time.Second
	// unacknowledged is TCP_USER_TIMEOUT (tcp(7)): data, or a probe of keptAlive's, that nobody has acknowledged for so long ends the connection. It is less
	// than gRPC sets by itself, which is keepaliveTimeout: a ping that is sent when probes have gone unanswered for nearly as long begins anew, and both
	// times together must be less than the 5 s in which the agent finds its way back. The gateway's kernel acknowledges, however busy a manager is.
	unacknowledged = 2 * time.Second
	// window is how much a manager may send ahead: 10 MB/s of a file over a link with a round trip of 100 ms. gRPC would find out by itself what the link
	// holds, by a ping and its answer for each message that comes: an eighth of the processor time that a change of the mesh takes the manager.
	window = 1 << 20
)

// keptAlive finds a gateway that is gone without a word within 2 s, or 4 s if something was sent meanwhile. The kernel asks: the agent sleeps on, and the manager behind the
// gateway hears nothing of it.
func keptAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 2}
}

// Dialer opens connections to one manager.
type Dialer struct {
	// Now is the host's clock, by which the manager's certificate is judged; nil for time.Now.
	Now func() time.Time
	// manager is HOST:PORT.
	manager string
	// known returns addresses (HOST:PORT) that the manager is reached by besides, for when its name does not resolve or
	// the gateway has moved.
	known func() []string
	turn  atomic.Int64
}

// New returns a dialer for the manager at HOST:PORT. known may be nil.
func New(manager string, known func() []string) *Dialer {
	if known == nil {
		known = func() []string { return nil }
	}
	return &Dialer{manager: manager, known: known}
}

// Connect returns a connection secured by config. Connecting itself happens with the first call on it, and once: a connection
// that broke is to be closed.
func (d *Dialer) Connect(config *tls.Config) (*Connection, error) {
	config = config.Clone()
	config.Time = d.now
	connection := &Connection{manager: d.manager, now: d.now}
	client, err := grpc.NewClient("passthrough:///"+identity.ManagerServerName, append(Transport(),
		grpc.WithTransportCredentials(watched{credentials.NewTLS(config), connection}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			raw, err := d.connect(ctx)
			connection.connected(raw, err)
			return raw, err
		}),
		grpc.WithUserAgent("hawser-agent/"+version.Get().Version))...)
	if err != nil {
		return nil, fmt.Errorf("prepare the connection to the manager: %w", err)
	}
	connection.ClientConn = client
	return connection, nil
}

// Transport is how an agent's connections are held, whoever they go to: one quiet stream, and a file now and then.
func Transport() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: attemptTimeout}),
		grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0), grpc.WithNoProxy(),
		// Small buffers; gRPC gives the write buffer back between writes.
		grpc.WithReadBufferSize(8 << 10), grpc.WithWriteBufferSize(8 << 10),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8 << 20)),
	}
}

func (d *Dialer) now() time.Time {
	if d.Now == nil {
		return time.Now()
	}
	return d.Now()
}

func (d *Dialer) connect(ctx context.Context) (net.Conn, error) {
	host, port, err := net.SplitHostPort(d.manager)
	if err != nil {
		return nil, fmt.Errorf("the manager's address: %w", err)
	}
	resolved, failure := resolve(ctx, host, port)
	addresses := candidates(resolved, d.known(), int(d.turn.Add(1)-1))
	if len(addresses) == 0 {
		return nil, failure
	}
	dialer := net.Dialer{Timeout: connectTimeout, KeepAliveConfig: keptAlive()}
	connection, err := race(ctx, func(ctx context.Context, address string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", address)
	}, addresses)
	return connection, errors.Join(err, onlyWith(err, failure))
}

// onlyWith returns second if there is a first.
func onlyWith(first, second error) error {
	if first == nil {
		return nil
	}
	return second
}

func resolve(ctx context.Context, host, port string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("resolve the manager's name: %w", err)
	}
	list := make([]string, 0, len(addresses))
	for _, address := range addresses {
		list = append(list, net.JoinHostPort(address, port))
	}
	return list, nil
}

// IdentityTLS authenticates both ends by the machine's identity.
func IdentityTLS(machine *store.Identity) *tls.Config {
	roots := x509.NewCertPool()
	for _, authority := range machine.Trust {
		roots.AddCert(authority)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: identity.ManagerServerName,
		RootCAs:    roots,
		// Whatever authorities the server names: there is this one certificate, and an expired one is shown as well, since the
		// manager renews it within the recovery window.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate := machine.TLS()
			return &certificate, nil
		},
	}
}
