package agent

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// mailbox holds the newest desired state and the newest Istio token. Latest wins: what was not taken in time is never seen.
type mailbox struct {
	mutex   sync.Mutex
	state   *hawserv1.DesiredState
	token   *hawserv1.IstioToken
	changed chan struct{}
}

func newMailbox(state *hawserv1.DesiredState, token *hawserv1.IstioToken) *mailbox {
	return &mailbox{state: state, token: token, changed: make(chan struct{}, 1)}
}

// putState replaces the state; its token too, if it brings one.
func (m *mailbox) putState(state *hawserv1.DesiredState) {
	m.mutex.Lock()
	m.state = state
	if state.GetToken().GetToken() != "" {
		m.token = state.GetToken()
	}
	m.mutex.Unlock()
	m.wake()
}

func (m *mailbox) putToken(token *hawserv1.IstioToken) {
	m.mutex.Lock()
	m.token = token
	m.mutex.Unlock()
	m.wake()
}

// wake makes the reader look again, at the host as well.
func (m *mailbox) wake() {
	select {
	case m.changed <- struct{}{}:
	default:
		// It has not looked since the last time.
	}
}

// want returns a copy of the newest state with the newest token, nil if there is no state.
func (m *mailbox) want() *hawserv1.DesiredState {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.state == nil {
		return nil
	}
	want := proto.CloneOf(m.state)
	want.Token = m.token
	return want
}

// held says what the agent has: the generation of its state, and its token.
func (m *mailbox) held() (generation string, token *hawserv1.IstioToken) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.state.GetGeneration(), m.token
}

// drainTime is how long the newest state lets callers be served when the machine is out of rotation; 0 if there is no state.
func (m *mailbox) drainTime() time.Duration {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return drainTime(m.state)
}

// gateways are the further addresses of the manager, given as HOST:PORT, that the newest state knows.
func (m *mailbox) gateways(manager string) []string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return Gateways(m.state, manager)
}

// meshGateways are the gateway's addresses of the newest state, each once, and its port for the control plane, past which no traffic rule leads.
func (m *mailbox) meshGateways() ([]netip.Addr, uint16) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return plan.Gateways(m.state), plan.DiscoveryPort(m.state)
}

// Gateways are the addresses that a state gives for the mesh's gateway, with the port of the manager's (HOST:PORT), which is
// behind it. They serve when the manager's name does not resolve, or still resolves to where the gateway was.
func Gateways(state *hawserv1.DesiredState, manager string) []string {
	port := dial.DefaultPort
	if _, given, err := net.SplitHostPort(manager); err == nil {
		port = given
	}
	var addresses []string
	for _, alias := range state.GetMesh().GetHostAliases() {
		addresses = append(addresses, net.JoinHostPort(alias.GetAddress(), port))
	}
	return addresses
}
