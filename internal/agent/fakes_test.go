package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/host/socket"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/managertest"
	"github.com/hawser-io/hawser/internal/agent/notify"
	"github.com/hawser-io/hawser/internal/agent/progress"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/store"

	"github.com/hawser-io/hawser/internal/agent/join"
)

// fakeMachine is a host that becomes what it is told to.
type fakeMachine struct {
	mutex    sync.Mutex
	applied  string
	token    *hawserv1.IstioToken
	restored bool
	failure  error
	changed  chan struct{}
	// restoring is closed when Restore begins, which then waits for release; nil: it does not wait.
	restoring, release chan struct{}
}

var _ Machine = (*fakeMachine)(nil)

func (m *fakeMachine) Converge(_ context.Context, want *hawserv1.DesiredState, tell Teller) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	began := time.Now()
	step := report.Step{Name: "become " + want.GetGeneration(), Started: began}
	if err := m.failure; err != nil {
		tell.Changes(step)
		step.Finished, step.Error = time.Now(), err.Error()
		tell.Changes(step)
		return err
	}
	if m.applied != want.GetGeneration() {
		tell.Changes(step)
		step.Finished = time.Now()
		tell.Changes(step)
	}
	m.applied, m.token = want.GetGeneration(), want.GetToken()
	m.news()
	tell.Found(m.outcome(want))
	return nil
}

func (m *fakeMachine) Look(_ context.Context, want *hawserv1.DesiredState, tell Teller) error {
	tell.Found(m.outcome(want))
	return nil
}

// outcome is what it is once it became something.
func (m *fakeMachine) outcome(want *hawserv1.DesiredState) Outcome {
	return Outcome{Proxy: report.Proxy{Version: want.GetProxy().GetVersion(), Slot: "a"}, Interception: report.Interception{Wanted: true, Active: true, Backend: "nftables"}, Watched: []string{"/etc/watched"}}
}

func (m *fakeMachine) Restore(context.Context) error {
	if m.restoring != nil {
		close(m.restoring)
		<-m.release
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.failure != nil {
		return m.failure
	}
	m.applied, m.restored = "", true
	return nil
}

func (m *fakeMachine) Token() *hawserv1.IstioToken {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.token
}

func (m *fakeMachine) fail(err error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.failure = err
}

// drift is what somebody else does to the host.
func (m *fakeMachine) drift() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.applied = "something else"
}

// mend ends what fail began.
func (m *fakeMachine) mend() { m.fail(nil) }

func (m *fakeMachine) String() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return fmt.Sprintf("applied=%s token=%s restored=%v", m.applied, m.token.GetToken(), m.restored)
}

// news is called with the mutex held.
func (m *fakeMachine) news() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// await returns once the machine prints want.
func (m *fakeMachine) await(t *testing.T, want string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		m.mutex.Lock()
		changed := m.changed
		m.mutex.Unlock()
		if m.String() == want {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the machine is %q, want %q", m, want)
		}
	}
}

// fakeDrift tells of changes when a test says so.
type fakeDrift struct {
	changed  chan struct{}
	mutex    sync.Mutex
	followed []string
}

var _ Drift = (*fakeDrift)(nil)

func (d *fakeDrift) Run(ctx context.Context) error { <-ctx.Done(); return nil }
func (d *fakeDrift) Changed() <-chan struct{}      { return d.changed }
func (d *fakeDrift) Follow(paths []string) bool {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.followed = paths
	return true
}

func (d *fakeDrift) Followed() []string {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.followed
}

// fakeService is the agent's unit.
type fakeService struct{ retired atomic.Bool }

var _ Service = (*fakeService)(nil)

func (s *fakeService) Retire(context.Context) error { s.retired.Store(true); return nil }

// noConnections is a proxy without any.
type noConnections struct{}

func (noConnections) List() ([]socket.Connection, error)                  { return nil, nil }
func (noConnections) Timeouts() (int64, error)                            { return 0, nil }
func (noConnections) End(socket.Connection) error                         { return nil }
func (noConnections) Set(context.Context, []netip.Addr, netip.Addr) error { return nil }
func (noConnections) Clear(context.Context) error                         { return nil }

// world is a joined machine and its manager.
type world struct {
	t       *testing.T
	manager *managertest.Manager
	store   *store.Store
	machine *fakeMachine
	service *fakeService
	drift   *fakeDrift
	// proxy is the proxy's status port; its answer can be changed.
	proxy       *httptest.Server
	proxyStatus atomic.Int32
	socket      string
	// notify is systemd's socket; empty for none.
	notify notify.Socket
	// serving counts callers' connections.
	serving func() (int, error)
	// now is the host's clock.
	now func() time.Time
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, manager: managertest.Start(t), store: store.New(filepath.Join(t.TempDir(), "hawser")), service: &fakeService{}, now: time.Now, serving: func() (int, error) { return 0, nil }}
	w.drift = &fakeDrift{changed: make(chan struct{})}
	w.machine = &fakeMachine{changed: make(chan struct{})}
	w.socket = filepath.Join(t.TempDir(), "agent.sock")
	w.proxyStatus.Store(http.StatusOK)
	w.proxy = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(int(w.proxyStatus.Load())) }))
	t.Cleanup(w.proxy.Close)
	w.enroll()
	return w
}

// enroll joins without following: the daemon is started by the test.
func (w *world) enroll() {
	w.t.Helper()
	joiner := &join.Joiner{Store: w.store, Host: joining{}, Enroller: join.Manager{}, Service: joining{}, Agent: joining{}, Progress: progress.New(w.t.Output(), false)}
	if _, err := joiner.Run(w.t.Context(), join.Request{Manager: w.manager.Address, Token: w.manager.Token()}); err != nil {
		w.t.Fatal(err)
	}
}

// joining is all of a host that a join needs.
type joining struct{}

func (joining) Check(context.Context, string) (*hawserv1.HostFacts, error) {
	return &hawserv1.HostFacts{Hostname: "vm-1"}, nil
}
func (joining) Start(context.Context, bool) error { return nil }
func (joining) Watch(_ context.Context, see func(local.Status) bool) error {
	see(local.Status{Ready: true})
	return nil
}

func (w *world) options() Options {
	return Options{
		Store: w.store, Socket: w.socket, Service: w.service, Drift: w.drift,
		Machine:          func(Connect) (Machine, error) { return w.machine, nil },
		Readiness:        func(string) string { return w.proxy.URL },
		ProxyCertificate: func(string) string { return filepath.Join(w.store.Directory(), "identity/cert.pem") },
		Serving:          w.serving,
		Connections:      noConnections{},
		Detour:           noConnections{},
		Now:              w.now,
		Notify:           w.notify, Watchdog: 10 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}
}

// run starts the daemon and returns a function that ends it as SIGTERM does and gives its error.
func (w *world) run() (stop func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, w.options()) }()
	return sync.OnceValue(func() error {
		cancel()
		return <-done
	})
}

// awaitStatus returns the first status that is as wanted.
func (w *world) awaitStatus(what string, wanted func(local.Status) bool) local.Status {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	var last local.Status
	for ctx.Err() == nil {
		if err := local.NewClient(w.socket).Watch(ctx, func(status local.Status) bool {
			last = status
			return !wanted(status)
		}); err == nil {
			return last
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	w.t.Fatalf("the status never was %s: %+v", what, last)
	return last
}

func state(generation string) *hawserv1.DesiredState {
	return &hawserv1.DesiredState{
		Generation: generation, Revision: "default", Proxy: &hawserv1.Proxy{Version: "1.31.0"},
		Interception: &hawserv1.Interception{Mode: hawserv1.Interception_MODE_REDIRECT},
		Token:        &hawserv1.IstioToken{Token: "token-" + generation, Expiry: time.Now().Add(time.Hour).Unix()},
	}
}
