package subscribe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/refusal"
)

// fakeManager opens streams, or fails to as its script says, and keeps what it was sent.
type fakeManager struct {
	mutex    sync.Mutex
	start    time.Time
	failures []error // of the coming attempts
	attempts []time.Duration
	sent     []string
	current  *fakeStream
}

var _ Opener = (*fakeManager)(nil)

func (m *fakeManager) Open(ctx context.Context) (Stream, string, io.Closer, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.attempts = append(m.attempts, time.Since(m.start))
	if len(m.failures) > 0 {
		err := m.failures[0]
		m.failures = m.failures[1:]
		if err != nil {
			return nil, "", nil, err
		}
	}
	m.current = &fakeStream{ctx: ctx, manager: m, down: make(chan *hawserv1.SyncResponse), broken: make(chan error, 1)}
	return m.current, "172.31.0.240:15012", m.current, nil
}

func (m *fakeManager) String() string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return strings.Join(m.sent, "; ")
}

type fakeStream struct {
	ctx     context.Context
	manager *fakeManager
	down    chan *hawserv1.SyncResponse
	broken  chan error
}

func (s *fakeStream) Send(request *hawserv1.SyncRequest) error {
	s.manager.mutex.Lock()
	defer s.manager.mutex.Unlock()
	switch message := request.GetMessage().(type) {
	case *hawserv1.SyncRequest_Hello:
		s.manager.sent = append(s.manager.sent, fmt.Sprintf("hello %s", message.Hello.GetReport().GetUnhealthyReason()))
	case *hawserv1.SyncRequest_Pong:
		s.manager.sent = append(s.manager.sent, "pong "+message.Pong.GetId())
	case *hawserv1.SyncRequest_Report:
		s.manager.sent = append(s.manager.sent, fmt.Sprintf("report %s", message.Report.GetUnhealthyReason()))
	}
	return nil
}

func (s *fakeStream) Recv() (*hawserv1.SyncResponse, error) {
	select {
	case response := <-s.down:
		return response, nil
	case err := <-s.broken:
		return nil, err
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

func (s *fakeStream) Close() error { return nil }

// fakeAgent reports and receives.
type fakeAgent struct {
	mutex    sync.Mutex
	report   *hawserv1.Report
	changed  chan struct{}
	received []string
}

var (
	_ Reporter = (*fakeAgent)(nil)
	_ Receiver = (*fakeAgent)(nil)
)

func (a *fakeAgent) Hello(context.Context) *hawserv1.Hello {
	return &hawserv1.Hello{Report: a.Report()}
}

func (a *fakeAgent) Report() *hawserv1.Report {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return proto.CloneOf(a.report)
}

func (a *fakeAgent) Watch() (<-chan struct{}, func()) { return a.changed, func() {} }

func (a *fakeAgent) set(report *hawserv1.Report) {
	a.mutex.Lock()
	a.report = report
	a.mutex.Unlock()
	a.changed <- struct{}{}
}

func (a *fakeAgent) State(state *hawserv1.DesiredState) {
	a.received = append(a.received, "state "+state.GetGeneration())
}
func (a *fakeAgent) Token(token *hawserv1.IstioToken) {
	a.received = append(a.received, "token "+token.GetToken())
}
func (a *fakeAgent) Removed(reason string) { a.received = append(a.received, "removed "+reason) }

// start runs a subscription in the test's bubble until the returned function is called.
func start(t *testing.T, manager *fakeManager, agent *fakeAgent) (*Subscription, func()) {
	manager.start = time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	subscription := New(manager, agent, agent, func(string, error) {}, slog.New(slog.DiscardHandler))
	done := make(chan error)
	go func() { done <- subscription.Run(ctx) }()
	return subscription, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func newAgent() *fakeAgent {
	return &fakeAgent{report: &hawserv1.Report{UnhealthyReason: "first"}, changed: make(chan struct{}, 1)}
}

func TestReportsAreSentWhenTheyDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, agent := &fakeManager{}, newAgent()
		subscription, stop := start(t, manager, agent)
		defer stop()
		synctest.Wait()
		agent.set(&hawserv1.Report{UnhealthyReason: "second"})
		synctest.Wait()
		agent.set(&hawserv1.Report{UnhealthyReason: "second"})
		synctest.Wait()
		time.Sleep(time.Hour) // the bubble's clock
		select {
		case <-subscription.Drained():
			t.Error("drained, though no report said draining")
		default:
		}
		agent.set(&hawserv1.Report{UnhealthyReason: "third", Draining: true})
		<-subscription.Drained()
		if got, want := manager.String(), "hello first; report second; report third"; got != want {
			t.Errorf("the manager got %q, want %q", got, want)
		}
	})
}

func TestWhatComesDownIsHandedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, agent := &fakeManager{}, newAgent()
		_, stop := start(t, manager, agent)
		synctest.Wait()
		for _, response := range []*hawserv1.SyncResponse{
			{Message: &hawserv1.SyncResponse_State{State: &hawserv1.DesiredState{Generation: "g1"}}},
			{Message: &hawserv1.SyncResponse_Token{Token: &hawserv1.IstioToken{Token: "t1"}}},
			{}, // a kind that this agent does not know
			{Message: &hawserv1.SyncResponse_Removed{Removed: &hawserv1.Removed{Reason: "deleted"}}},
		} {
			manager.current.down <- response
		}
		synctest.Wait()
		stop()
		if got, want := strings.Join(agent.received, "; "), "state g1; token t1; removed deleted"; got != want {
			t.Errorf("received %q, want %q", got, want)
		}
	})
}

// Another host has come with this one's identity: whoever answers was first.
func TestPingsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, agent := &fakeManager{}, newAgent()
		_, stop := start(t, manager, agent)
		defer stop()
		synctest.Wait()
		for _, id := range []string{"p1", "p2"} {
			manager.current.down <- &hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_Ping{Ping: &hawserv1.Ping{Id: id}}}
		}
		synctest.Wait()
		if got, want := manager.String(), "hello first; pong p1; pong p2"; got != want {
			t.Errorf("the manager got %q, want %q", got, want)
		}
	})
}

func TestEachAgentIsAnInstanceOfItsOwn(t *testing.T) {
	if one, other := New(nil, nil, nil, nil, nil), New(nil, nil, nil, nil, nil); one.instance == other.instance || len(one.instance) < 20 {
		t.Errorf("instances %q and %q", one.instance, other.instance)
	}
}

func TestComesBackAfterEachFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, agent := &fakeManager{}, newAgent()
		_, stop := start(t, manager, agent)
		defer stop()
		synctest.Wait()
		time.Sleep(time.Minute)
		manager.mutex.Lock()
		for range 40 {
			manager.failures = append(manager.failures, errors.New("connection refused"))
		}
		manager.start, manager.attempts = time.Now(), nil
		manager.mutex.Unlock()
		manager.current.broken <- errors.New("stream reset")
		time.Sleep(40 * longest)
		synctest.Wait()
		if n := len(manager.attempts); n != 41 {
			t.Fatalf("%d attempts, want 40 failures and one that stands", n)
		}
		if first := manager.attempts[0]; first > shortest {
			t.Errorf("the first attempt came after %s, though the stream had stood for a minute", first)
		}
		for i := 1; i < len(manager.attempts); i++ {
			if pause := manager.attempts[i] - manager.attempts[i-1]; pause > longest {
				t.Errorf("attempt %d came %s after the one before", i, pause)
			}
		}
		if got, want := manager.String(), "hello first; hello first"; got != want {
			t.Errorf("the manager got %q, want %q", got, want)
		}
	})
}

// A machine that was turned away for good goes on asking, as somebody may let it in again, and does not keep the manager busy.
func TestAMachineThatIsTurnedAwayAsksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, agent := &fakeManager{}, newAgent()
		for range 1000 {
			manager.failures = append(manager.failures, refusal.New(refusal.MachineRevoked, "machine", "shop/vm-1"))
		}
		_, stop := start(t, manager, agent)
		defer stop()
		time.Sleep(time.Hour) // the bubble's clock
		synctest.Wait()
		manager.mutex.Lock()
		defer manager.mutex.Unlock()
		if n := len(manager.attempts); n < 60 || n > 300 {
			t.Errorf("%d attempts in an hour", n)
		}
		for i := 1; i < len(manager.attempts); i++ {
			if pause := manager.attempts[i] - manager.attempts[i-1]; pause > longestRefused {
				t.Errorf("attempt %d came %s after the one before", i, pause)
			}
		}
	})
}

// A machine whose certificate had expired is back as soon as it has another one.
func TestANewCertificateEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, agent := &fakeManager{}, newAgent()
		for range 1000 {
			manager.failures = append(manager.failures, refusal.New(refusal.CertificateExpired, "machine", "shop/vm-1"))
		}
		subscription, stop := start(t, manager, agent)
		defer stop()
		time.Sleep(time.Minute) // the bubble's clock
		synctest.Wait()
		manager.mutex.Lock()
		manager.failures = nil
		before := len(manager.attempts)
		manager.mutex.Unlock()
		subscription.Again()
		synctest.Wait()
		if n := len(manager.attempts); n != before+1 {
			t.Errorf("%d attempts at once, want one", n-before)
		}
	})
}

// One that came while the stream stood is no reason to hurry when it breaks.
func TestACertificateOfBeforeDoesNotEndThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager, agent := &fakeManager{}, newAgent()
		subscription, stop := start(t, manager, agent)
		defer stop()
		synctest.Wait()
		subscription.Again()
		for range 12 {
			manager.failures = append(manager.failures, errors.New("connection refused"))
		}
		manager.current.broken <- errors.New("stream reset")
		synctest.Wait()
		if n := len(manager.attempts); n != 1 {
			t.Errorf("%d attempts without a pause", n-1)
		}
	})
}

// The journal tells each reason once, however long it stays so.
func TestTheSameFailureIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		manager, agent := &fakeManager{start: time.Now()}, newAgent()
		for _, reason := range []string{"connection refused", "connection refused", "connection refused", "no route to host", "no route to host"} {
			manager.failures = append(manager.failures, errors.New(reason))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- New(manager, agent, agent, func(string, error) {}, slog.New(slog.NewTextHandler(&log, nil))).Run(ctx)
		}()
		time.Sleep(time.Minute) // the bubble's clock
		synctest.Wait()
		manager.current.broken <- errors.New("connection refused")
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := strings.Count(log.String(), "level=WARN"); got != 3 {
			t.Errorf("%d lines:\n%s", got, &log)
		}
	})
}
