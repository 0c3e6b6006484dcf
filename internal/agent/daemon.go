package agent

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/hostfacts"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/renew"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/agent/subscribe"
	"github.com/hawser-io/hawser/internal/refusal"
	"github.com/hawser-io/hawser/internal/version"
)

// daemon is one running agent: what its parts share.
type daemon struct {
	options    Options
	enrollment store.Enrollment
	started    time.Time
	dialer     *dial.Dialer
	machine    Machine
	mailbox    *mailbox
	board      *report.Board
	stream     *subscribe.Subscription
	renewer    *renew.Renewer

	// probeChanged wakes the application's watcher when a state came, gatewaysChanged that of gateways.
	probeChanged, gatewaysChanged chan struct{}
	// These are closed when the host, proxy and application were looked at for the first time.
	hostLooked, proxyLooked, applicationLooked chan struct{}
	lookedHost, lookedProxy, lookedApplication func()
	// passing: what drains the machine ends when the proxy is ready again.
	passing atomic.Bool
	// removed receives the manager's reason when it has removed the machine.
	removed chan string
}

var (
	_ subscribe.Receiver = (*daemon)(nil)
	_ subscribe.Reporter = (*daemon)(nil)
	_ local.Agent        = (*daemon)(nil)
)

// errNotJoined says that there is nothing to run.
var errNotJoined = errors.New("this host has not joined a mesh: run `hawser-agent join` first")

// open reads what is stored and puts the parts together; nothing runs yet.
func open(options Options) (*daemon, error) {
	identity, err := options.Store.Identity()
	if errors.Is(err, store.ErrNone) {
		return nil, errNotJoined
	}
	if err != nil {
		return nil, err
	}
	state, err := options.Store.Desired()
	if err != nil && !errors.Is(err, store.ErrNone) {
		// The manager sends it again.
		options.Log.Warn("the stored desired state is of no use", "error", err)
	}
	d := &daemon{
		options: options, enrollment: identity.Enrollment, started: time.Now(), board: report.NewBoard(options.Now),
		probeChanged: make(chan struct{}, 1), gatewaysChanged: make(chan struct{}, 1),
		hostLooked: make(chan struct{}), proxyLooked: make(chan struct{}), applicationLooked: make(chan struct{}), removed: make(chan string, 1),
	}
	d.lookedHost = sync.OnceFunc(func() { close(d.hostLooked) })
	d.lookedProxy = sync.OnceFunc(func() { close(d.proxyLooked) })
	d.lookedApplication = sync.OnceFunc(func() { close(d.applicationLooked) })
	d.dialer = dial.New(d.enrollment.Manager, d.gateways)
	d.dialer.Now = options.Now
	if d.machine, err = options.Machine(Connect{Manager: d.enrollment.Manager, Dialer: d.dialer, Identity: options.Store.Identity}); err != nil {
		return nil, err
	}
	token := d.machine.Token()
	d.mailbox = newMailbox(state, token)
	d.board.Update(func(f *report.Facts) { f.Connection.Since = d.started })
	if state != nil {
		d.desired(state)
	}
	if token != nil {
		d.held(token)
	}
	d.renewer = renew.New(options.Store, renew.NewManager(d.dialer), d.renewed, options.Now, options.Log)
	d.stream = subscribe.New(subscribe.NewManager(d.dialer, options.Store.Identity), d, d, d.connection, options.Log)
	return d, nil
}

// gateways are the manager's further addresses as they are known now.
func (d *daemon) gateways() []string { return d.mailbox.gateways(d.enrollment.Manager) }

// State takes a state from the manager.
func (d *daemon) State(state *hawserv1.DesiredState) {
	d.options.Log.Info("received a desired state", "generation", state.GetGeneration(), "revision", state.GetRevision())
	d.desired(state)
	if token := state.GetToken(); token.GetToken() != "" {
		d.held(token)
	}
	// The board comes first: what is applied must not be ahead of what it says is desired.
	d.mailbox.putState(state)
	for _, concerned := range []chan struct{}{d.probeChanged, d.gatewaysChanged} {
		select {
		case concerned <- struct{}{}:
		default:
		}
	}
}

// Token takes a fresh Istio token.
func (d *daemon) Token(token *hawserv1.IstioToken) {
	d.options.Log.Info("received an Istio token", "expiry", time.Unix(token.GetExpiry(), 0).UTC())
	d.held(token)
	d.mailbox.putToken(token)
}

// Removed ends the machine's membership.
func (d *daemon) Removed(reason string) {
	select {
	case d.removed <- reason:
	default:
		// It is being removed already.
	}
}

func (d *daemon) desired(state *hawserv1.DesiredState) {
	d.board.Update(func(f *report.Facts) {
		f.Configuration.Desired, f.Configuration.Revision = state.GetGeneration(), state.GetRevision()
		f.Interception.Wanted = state.GetInterception().GetMode() == hawserv1.Interception_MODE_REDIRECT
		f.Notices = nil
		for _, notice := range state.GetNotices() {
			f.Notices = append(f.Notices, report.Notice{Reason: notice.GetReason(), Message: notice.GetMessage()})
		}
	})
}

// held puts the life time of the token on the board.
func (d *daemon) held(token *hawserv1.IstioToken) {
	d.board.Update(func(f *report.Facts) {
		f.Certificates.IstioToken = report.Validity{NotAfter: time.Unix(token.GetExpiry(), 0).UTC()}
	})
}

// renewed puts the agent's certificate in use on the board, and opens a stream with it if there is none.
func (d *daemon) renewed(identity *store.Identity) {
	leaf := identity.Leaf()
	d.board.Update(func(f *report.Facts) {
		f.Certificates.Agent = report.Validity{Obtained: identity.Obtained.UTC(), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}
	})
	// A manager that refused the expired one would not be tried again for seconds.
	d.stream.Again()
}

// connection puts the stream's state on the board.
func (d *daemon) connection(peer string, err error) {
	d.board.Update(func(f *report.Facts) {
		next := report.Connection{Up: err == nil, Peer: peer, Since: f.Connection.Since}
		if next.Up != f.Connection.Up {
			next.Since = time.Now()
		}
		if err != nil {
			next.Error = err.Error()
			if refused, ok := refusal.FromError(err); ok && !refused.Retry {
				next.Reason = string(refused.Reason)
			}
		}
		f.Connection = next
	})
	switch {
	case err == nil:
		d.options.Log.Info("connected to the manager", "peer", peer)
	case errors.Is(err, refusal.CertificateExpired):
		d.renewer.Expired()
	}
}

// Hello opens a stream.
func (d *daemon) Hello(ctx context.Context) *hawserv1.Hello {
	host, err := hostfacts.Observe(ctx, d.enrollment.Manager)
	if err != nil {
		d.options.Log.Warn("could not observe the host in full", "error", err)
	}
	// Its condition says that what is told of the name follows with the agent's next start.
	host.Hostname = cmp.Or(d.board.Facts().Hostname.Known, host.GetHostname())
	generation, token := d.mailbox.held()
	claims := claimsOf(token.GetToken())
	return &hawserv1.Hello{
		Host: host, Generation: generation, TokenExpiry: token.GetExpiry(), ServiceAccount: claims.account(), TokenSecret: claims.Kubernetes.Secret.UID,
		Report: d.board.Report(),
	}
}

// Report is the newest report.
func (d *daemon) Report() *hawserv1.Report { return d.board.Report() }

// Watch wakes on every change of the board.
func (d *daemon) Watch() (<-chan struct{}, func()) { return d.board.Watch() }

// Status answers on the local socket.
func (d *daemon) Status() local.Status {
	status := local.Describe(d.board.Facts(), d.board.Report())
	status.Agent, status.Started, status.Manager = version.Get().Version, d.started.UTC(), d.enrollment.Manager
	e := d.enrollment
	status.Machine = local.Machine{Namespace: e.Namespace, Name: e.Name, Group: e.Group, UID: e.UID}
	return status
}
