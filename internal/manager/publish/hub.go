package publish

import (
	"context"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/internal/refusal"
)

// Hub knows the sessions of this replica: it wakes them when facts change, and ends them.
type Hub struct {
	mu       sync.Mutex
	sessions map[types.NamespacedName]*session
	stopping bool
	// open counts sessions that have not been left yet.
	open sync.WaitGroup
}

// NewHub makes an empty hub.
func NewHub() *Hub { return &Hub{sessions: map[types.NamespacedName]*session{}} }

// session is one stream.
type session struct {
	machine types.NamespacedName
	// wake has capacity one: there may be something to send.
	wake chan struct{}
	// ended has capacity one and takes the reason why the stream has to end; the first one counts.
	ended chan error
	// over is closed when the stream has ended.
	over chan struct{}

	// instance and first address of the agent.
	instance, address string
	questions         chan question
	// The stream's goroutine alone uses asked: what answers to pings, by their id.
	asked map[string]func()
	// feed of the stream once there is one; until then it looks at the newest facts anyway.
	feed atomic.Pointer[feed]
}

func newSession(machine types.NamespacedName, instance, address string) *session {
	return &session{
		machine: machine, wake: make(chan struct{}, 1), ended: make(chan error, 1), over: make(chan struct{}),
		instance: instance, address: address, questions: make(chan question, 4), asked: map[string]func(){},
	}
}

func (s *session) end(reason error) {
	select {
	case s.ended <- reason:
	default:
	}
}

// enter adds a session, ends an earlier one of the same machine, and begins what goes with the session; begin must be quick. Sessions of a
// machine begin in the order that they enter in. It fails when the hub stops.
func (h *Hub) enter(s *session, begin func()) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopping {
		return refusal.New(refusal.ManagerStopping)
	}
	if earlier := h.sessions[s.machine]; earlier != nil {
		earlier.end(refusal.New(refusal.SessionReplaced, "machine", s.machine))
	}
	h.sessions[s.machine] = s
	h.open.Add(1)
	begin()
	return nil
}

func (h *Hub) leave(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.machine] == s {
		delete(h.sessions, s.machine)
	}
	close(s.over)
	h.open.Done()
}

// Connected is the number of machines with a stream to this replica.
func (h *Hub) Connected() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

// Run wakes the sessions that a change of the facts concerns, until ctx ends.
func (h *Hub) Run(ctx context.Context, changed <-chan struct{}) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			h.wake()
		}
	}
}

// wake leaves those alone that have nothing to do: among thousands of machines there is always one that changes.
func (h *Hub) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		if feed := s.feed.Load(); feed != nil && !feed.concerned() {
			continue
		}
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Stop ends all sessions, so that the machines go to other replicas, and takes no more. It returns when they are over, or with ctx.
func (h *Hub) Stop(ctx context.Context) {
	h.mu.Lock()
	h.stopping = true
	for _, s := range h.sessions {
		s.end(refusal.New(refusal.ManagerStopping))
	}
	h.mu.Unlock()
	over := make(chan struct{})
	go func() {
		h.open.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
}
