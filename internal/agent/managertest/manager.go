package managertest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
)

// Manager serves both services on a port of the loopback interface.
type Manager struct {
	// Address is HOST:PORT.
	Address string

	authority *authority
	server    *grpc.Server
	served    chan error

	mutex     sync.Mutex
	refusals  []error
	life      time.Duration
	tokens    map[string]string // token ID → fingerprint that used it, empty if unused
	machines  map[identity.Machine]string
	leaving   map[identity.Machine]bool
	state     *hawserv1.DesiredState
	artifacts map[string][]byte
	events    []string
	sessions  []*session
	changed   chan struct{}
}

// Start returns a running manager that ends with the test.
func Start(t *testing.T) *Manager {
	t.Helper()
	m := &Manager{
		life: 24 * time.Hour, tokens: map[string]string{}, machines: map[identity.Machine]string{}, leaving: map[identity.Machine]bool{},
		artifacts: map[string][]byte{}, changed: make(chan struct{}),
	}
	var err error
	if m.authority, err = newAuthority(); err != nil {
		t.Fatal(err)
	}
	m.Listen(t, "127.0.0.1:0")
	t.Cleanup(func() { m.Stop(t) })
	return m
}

// Listen serves on an address; a manager that was stopped comes back by it.
func (m *Manager) Listen(t *testing.T, address string) {
	t.Helper()
	certificate, err := m.authority.server()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{certificate},
		ClientAuth: tls.RequestClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.ServerName != identity.ManagerServerName {
				return fmt.Errorf("asked for %q", state.ServerName)
			}
			return nil
		},
	}
	m.Address = listener.Addr().String()
	m.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(config)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}))
	hawserv1.RegisterEnrollmentServiceServer(m.server, enrollment{manager: m})
	hawserv1.RegisterMachineServiceServer(m.server, machines{manager: m})
	m.served = make(chan error, 1)
	server, served := m.server, m.served
	go func() { served <- server.Serve(listener) }()
}

// Stop ends the server and all streams; state stays for Listen.
func (m *Manager) Stop(t *testing.T) {
	t.Helper()
	if m.server == nil {
		return
	}
	m.server.Stop()
	if err := <-m.served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		t.Error(err)
	}
	m.server = nil
}

// Token makes a join token.
func (m *Manager) Token() jointoken.Token {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	token := jointoken.New("shop", identity.PinOf(m.authority.certificate))
	m.tokens[token.ID()] = ""
	return token
}

// Refuse lets the next calls fail, one each, whatever they ask.
func (m *Manager) Refuse(errs ...error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.refusals = append(m.refusals, errs...)
}

// CertificateLife sets how long the next client certificates last.
func (m *Manager) CertificateLife(life time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.life = life
}

// Artifact serves content (compressed) under the hash of what it expands to.
func (m *Manager) Artifact(sha256 string, content []byte) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.artifacts[sha256] = content
}

// Trust is the authority's certificate.
func (m *Manager) Trust() *x509.Certificate { return m.authority.certificate }

// Events returns what happened so far, one line each: the state of this fake.
func (m *Manager) Events() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return strings.Join(m.events, "\n")
}

// Await returns once an event has the given text in it; those before since (a count of events) do not count. It returns the
// number of events up to it.
func (m *Manager) Await(t *testing.T, since int, text string) int {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		m.mutex.Lock()
		at := slices.IndexFunc(m.events[since:], func(event string) bool { return strings.Contains(event, text) })
		changed := m.changed
		m.mutex.Unlock()
		if at >= 0 {
			return since + at + 1
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the manager saw no %q after event %d:\n%s", text, since, m.Events())
		}
	}
}

// record is called with the mutex held.
func (m *Manager) record(format string, arguments ...any) {
	m.events = append(m.events, fmt.Sprintf(format, arguments...))
	close(m.changed)
	m.changed = make(chan struct{})
}

// refused is called with the mutex held; it takes the next refusal if there is one.
func (m *Manager) refused() error {
	if len(m.refusals) == 0 {
		return nil
	}
	err := m.refusals[0]
	m.refusals = m.refusals[1:]
	return err
}
