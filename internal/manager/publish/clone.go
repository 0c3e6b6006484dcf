package publish

import (
	"context"
	"crypto/rand"
	"time"

	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// pongPatience is how long the agent of a standing stream may take to answer. A host that was reset without a word waits as long when it is
// back, with its proxy running.
const pongPatience = 3 * time.Second

// Rival is another host with the identity of a machine that calls.
type Rival struct {
	// Address of the host that was first, empty if it is not known.
	Address string
}

// alone refuses a host if the machine's stream is another host's, and that one is there. A stream may look alive for a while after its link was
// cut or its host was reset: only an answer counts. hello is the agent's, nil for a call that no stream goes with.
func (s *Service) alone(ctx context.Context, machine facts.Machine, hello *hawserv1.Hello) error {
	rival := s.Hub.rival(ctx, machine.NamespacedName, hello.GetInstance())
	if rival == nil {
		rival = s.Elsewhere(ctx, machine, hello)
	}
	if rival == nil {
		return nil
	}
	s.Cloned(ctx, machine, hello)
	s.Logger.Warn("clone refused", "machine", machine.String(), "address", firstAddress(hello.GetHost()), "first", rival.Address)
	return refusal.New(refusal.Cloned, "machine", machine.NamespacedName, "address", rival.Address)
}

// rival returns the host that has the machine's stream to this replica, if it is another one and answers.
func (h *Hub) rival(ctx context.Context, machine types.NamespacedName, instance string) *Rival {
	h.mu.Lock()
	s := h.sessions[machine]
	h.mu.Unlock()
	// Agents that name no instance do not know what a ping is.
	if s == nil || s.instance == "" || s.instance == instance {
		return nil
	}
	answered := make(chan struct{}, 1)
	s.ask(func() { answered <- struct{}{} })
	timer := time.NewTimer(pongPatience)
	defer timer.Stop()
	select {
	case <-answered:
		return &Rival{Address: s.address}
	case <-s.over:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// question is a ping that is not answered yet.
type question struct {
	id       string
	answered func()
}

// ask has the session's agent asked whether it is there; answered is called at most once, from the stream's goroutine.
func (s *session) ask(answered func()) {
	select {
	case s.questions <- question{rand.Text(), answered}:
	default:
		// It has not taken the last ones: nobody is there.
	}
}

// put sends a ping.
func (q question) put(stream sender) error {
	return stream.Send(&hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_Ping{Ping: &hawserv1.Ping{Id: q.id}}})
}

// answer takes a pong.
func (s *session) answer(pong *hawserv1.Pong) {
	if answered := s.asked[pong.GetId()]; answered != nil {
		delete(s.asked, pong.GetId())
		answered()
	}
}

// firstAddress of a host, as its agent tells.
func firstAddress(host *hawserv1.HostFacts) string {
	if len(host.GetAddresses()) == 0 {
		return ""
	}
	return host.GetAddresses()[0]
}
