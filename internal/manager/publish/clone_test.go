package publish_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// instance opens a stream of an agent that calls itself so, of the host at the address.
func (w *world) instance(client hawserv1.MachineServiceClient, name, address string) *stream {
	w.Helper()
	return w.opened(client, &hawserv1.Hello{
		Instance: name, Host: &hawserv1.HostFacts{Architecture: "amd64", Addresses: []string{address}}, Report: &hawserv1.Report{},
	})
}

// answering answers pings until the stream ends, and gives the error of that.
func (s *stream) answering() <-chan error {
	ended := make(chan error, 1)
	go func() {
		for {
			response, err := s.Recv()
			if err != nil {
				ended <- err
				return
			}
			if ping := response.GetPing(); ping != nil {
				if err := s.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Pong{Pong: &hawserv1.Pong{Id: ping.GetId()}}}); err != nil && !errors.Is(err, io.EOF) {
					ended <- err
					return
				}
			}
		}
	}()
	return ended
}

func TestACloneIsRefusedWhileTheFirstHostIsThere(t *testing.T) {
	w := newWorld(t)
	certificate := w.certify("vm-1", time.Hour)
	first := w.instance(w.dial(certificate), "one", "172.31.0.11")
	first.state()
	ended := first.answering()
	for range 2 {
		_, err := w.instance(w.dial(certificate), "other", "172.31.0.66").Recv()
		refused := asRefusal(err)
		if !errors.Is(refused, refusal.Cloned) || !strings.Contains(refused.Error(), "copy of machine shop/vm-1") || !strings.Contains(refused.Error(), "(172.31.0.11)") {
			t.Fatalf("the clone got %v", err)
		}
	}
	if got := w.clones(); !slices.Equal(got, []string{`shop/vm-1 at ["172.31.0.66"]`, `shop/vm-1 at ["172.31.0.66"]`}) {
		t.Errorf("told of %q", got)
	}
	if _, err := w.dial(certificate).Leave(w.context(), &hawserv1.LeaveRequest{}); !errors.Is(asRefusal(err), refusal.Cloned) {
		t.Errorf("the clone leaves in the first host's name: %v", err)
	}
	select {
	case err := <-ended:
		t.Errorf("the first host's stream ended: %v", err)
	default:
	}
	if len(w.removed) > 0 || w.hub.Connected() != 1 {
		t.Errorf("removed %q, %d connected", w.removed, w.hub.Connected())
	}
}

// A host that was reset comes back as another instance, while its former stream looks alive.
func TestAHostThatWasResetIsNoClone(t *testing.T) {
	w := newWorld(t)
	certificate := w.certify("vm-1", time.Hour)
	first := w.instance(w.dial(certificate), "one", "172.31.0.11")
	first.state()
	began := time.Now()
	w.instance(w.dial(certificate), "two", "172.31.0.11").state()
	if took := time.Since(began); took < time.Second || took > 6*time.Second {
		t.Errorf("it took %s", took)
	}
	if response, err := first.Recv(); err != nil || response.GetPing() == nil {
		t.Errorf("the first stream got %v, %v", response, err)
	}
	if _, err := first.Recv(); !errors.Is(asRefusal(err), refusal.SessionReplaced) {
		t.Errorf("the first stream ended with %v", err)
	}
	if got := w.clones(); len(got) > 0 {
		t.Errorf("told of %q", got)
	}
}

// An agent that lost its link comes back as the same instance, and need not wait.
func TestAnAgentThatComesBackIsNoCloneOfItself(t *testing.T) {
	w := newWorld(t)
	certificate := w.certify("vm-1", time.Hour)
	w.instance(w.dial(certificate), "one", "172.31.0.11").state()
	began := time.Now()
	w.instance(w.dial(certificate), "one", "172.31.0.11").state()
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestACloneIsRefusedThoughTheFirstHostIsElsewhere(t *testing.T) {
	w := newWorld(t)
	certificate := w.certify("vm-1", time.Hour)
	w.elsewhere = map[string]string{"vm-1": "172.31.0.11"}
	if _, err := w.instance(w.dial(certificate), "other", "172.31.0.66").Recv(); !errors.Is(asRefusal(err), refusal.Cloned) {
		t.Errorf("the clone got %v", err)
	}
	if n := w.hub.Connected(); n != 0 {
		t.Errorf("%d connected", n)
	}
}

func (w *world) clones() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.cloned)
}

// told is what the world keeps of clones.
func (w *world) told(_ context.Context, machine facts.Machine, hello *hawserv1.Hello) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cloned = append(w.cloned, fmt.Sprintf("%s at %q", machine, hello.GetHost().GetAddresses()))
}
