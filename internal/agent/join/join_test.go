package join

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/progress"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/refusal"
)

func TestJoin(t *testing.T) {
	w := newWorld(t)
	request := Request{Manager: w.manager.Address, Token: w.manager.Token()}
	if err := w.join(t.Context(), request, -1); err != nil {
		t.Fatal(err)
	}
	enrollment, err := w.store.Enrollment()
	if err != nil || enrollment.Completed.IsZero() || enrollment.Name != "vm-1" || enrollment.TokenID != request.Token.ID() {
		t.Errorf("enrollment %+v, %v", enrollment, err)
	}
	for _, want := range []string{"✓ this host is fit", "✓ enrolled as shop/vm-1 in group ratings", "✓ agent started", "✓ connected to the manager", "✓ ready"} {
		if !strings.Contains(w.output.String(), want) {
			t.Errorf("no %q in:\n%s", want, w.output.String())
		}
	}

	var already *Already
	if err := w.join(t.Context(), request, -1); !errors.As(err, &already) || !strings.Contains(err.Error(), "hawser-agent status") || !strings.Contains(err.Error(), "hawser-agent leave") {
		t.Errorf("the second join: %v", err)
	}
}

func TestHostnameCanBeGiven(t *testing.T) {
	w := newWorld(t)
	if err := w.join(t.Context(), Request{Manager: w.manager.Address, Token: w.manager.Token(), Hostname: "db-1"}, -1); err != nil {
		t.Fatal(err)
	}
	w.manager.Await(t, 0, "enroll shop/db-1")
}

func TestJoinKilledAtAnyMomentIsFinishedByRepeatingIt(t *testing.T) {
	for moment := 0; ; moment++ {
		w := newWorld(t)
		request := Request{Manager: w.manager.Address, Token: w.manager.Token()}
		first := w.join(t.Context(), request, moment)
		if first == nil {
			if moment < 10 {
				t.Errorf("only %d moments", moment)
			}
			return
		}
		err := w.join(t.Context(), request, -1)
		if strings.Contains(first.Error(), "after keeping the enrollment") && errors.As(err, new(*Already)) {
			// The very last write of a join: it was finished.
			err = nil
		}
		if err != nil {
			t.Errorf("%v; repeated: %v", first, err)
		}
		if enrollment, err := w.store.Enrollment(); err != nil || enrollment.Completed.IsZero() {
			t.Errorf("%v; repeated: enrollment %+v, %v", first, enrollment, err)
		}
	}
}

func TestAnotherTokenWhileJoining(t *testing.T) {
	w := newWorld(t)
	first := Request{Manager: w.manager.Address, Token: w.manager.Token()}
	w.host.statuses = nil
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var notReady *NotReady
	if err := w.join(ctx, first, -1); !errors.As(err, &notReady) {
		t.Fatalf("a join without a ready machine: %v", err)
	}
	w.host.statuses = []local.Status{ready()}
	second := Request{Manager: w.manager.Address, Token: w.manager.Token()}
	if err := w.join(t.Context(), second, -1); err == nil || !strings.Contains(err.Error(), "with another token ("+first.Token.ID()+")") {
		t.Errorf("another token: %v", err)
	}
	if err := w.join(t.Context(), first, -1); err != nil {
		t.Errorf("the same token: %v", err)
	}
}

// The agent read the manager's address when it started.
func TestACorrectedAddressReachesTheRunningAgent(t *testing.T) {
	w := newWorld(t)
	request := Request{Manager: w.manager.Address, Token: w.manager.Token()}
	w.host.statuses = nil
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.join(ctx, request, -1); !errors.As(err, new(*NotReady)) {
		t.Fatalf("a join without a ready machine: %v", err)
	}
	w.host.statuses = []local.Status{ready()}
	_, port, err := net.SplitHostPort(w.manager.Address)
	if err != nil {
		t.Fatal(err)
	}
	request.Manager = net.JoinHostPort("localhost", port)
	if err := w.join(t.Context(), request, -1); err != nil || w.host.starts != 2 {
		t.Errorf("%v, the agent was started %d times", err, w.host.starts)
	}
}

func TestAMachineThatIsBeingRemovedCannotJoin(t *testing.T) {
	w := newWorld(t)
	request := Request{Manager: w.manager.Address, Token: w.manager.Token()}
	if err := w.join(t.Context(), request, -1); err != nil {
		t.Fatal(err)
	}
	enrollment, err := w.store.Enrollment()
	if err != nil {
		t.Fatal(err)
	}
	enrollment.Removed, enrollment.Completed = "the Machine was deleted", time.Time{}
	if err := w.store.KeepEnrollment(enrollment); err != nil {
		t.Fatal(err)
	}
	if err := w.join(t.Context(), request, -1); !errors.As(err, new(*Already)) || !strings.Contains(err.Error(), "run `hawser-agent leave` to finish that") {
		t.Errorf("got %v", err)
	}
}

func TestRefusalsSayWhatToDoAndLeaveNothing(t *testing.T) {
	w := newWorld(t)
	reasons := []refusal.Reason{
		refusal.TokenExpired, refusal.TokenUsed, refusal.TokenForged, refusal.TokenRevoked, refusal.TokenHostnameMismatch, refusal.TokenAddressMismatch,
		refusal.GroupNotFound, refusal.HostnameTaken, refusal.HostnameInvalid, refusal.ClockSkew, refusal.GlibcTooOld, refusal.MachineRevoked,
	}
	for _, reason := range reasons {
		w.manager.Refuse(refusal.New(reason))
		err := w.join(t.Context(), Request{Manager: w.manager.Address, Token: w.manager.Token()}, -1)
		if refused, ok := refusal.FromError(err); !ok || refused.Reason != reason || refused.Next == "" {
			t.Errorf("%s: %v", reason, err)
		}
		if kept, err := w.store.KeyKept(); kept || err != nil {
			t.Errorf("%s: the key is still there, %v", reason, err)
		}
	}
}

func TestARefusalThatPassesIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	w.manager.Refuse(refusal.New(refusal.ProxyPending, "image", "proxyv2:1.31.0", "architecture", "amd64"), status.Error(codes.Unavailable, "restarting"))
	if err := w.join(t.Context(), Request{Manager: w.manager.Address, Token: w.manager.Token()}, -1); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.output.String(), "still fetching proxyv2:1.31.0 for amd64") {
		t.Errorf("nothing was said about waiting:\n%s", w.output.String())
	}
}

func TestManagersThatAreNotReached(t *testing.T) {
	w := newWorld(t)
	other := jointoken.New("shop", identity.Pin{1})
	for name, test := range map[string]struct {
		manager string
		token   jointoken.Token
		want    string
	}{
		"wrong-pin":           {w.manager.Address, other, "not the manager that the join token was made by"},
		"refuses-connections": {closedPort(t), other, "refuses connections"},
		"no-such-name":        {"manager.invalid:15012", other, "does not resolve"},
		"closes-connections":  {closing(t), other, "it has no way to the manager"},
		"speaks-no-tls":       {speaking(t, "SSH-2.0-OpenSSH_9.2\r\n"), other, "does not speak TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := &world{manager: w.manager, store: store.New(t.TempDir()), host: &fakeHost{}}
			err := own.join(t.Context(), Request{Manager: test.manager, Token: test.token}, -1)
			var away *dial.Unreachable
			if !errors.As(err, &away) || !strings.Contains(away.Message, test.want) || away.Next == "" {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if kept, err := own.store.KeyKept(); kept || err != nil {
				t.Errorf("the key is still there, %v", err)
			}
		})
	}
}

func TestUnfitHostIsNotTouched(t *testing.T) {
	w := newWorld(t)
	w.host.problems = []string{"no systemd", "port 15001 is in use"}
	err := w.join(t.Context(), Request{Manager: w.manager.Address, Token: w.manager.Token()}, -1)
	if err == nil || err.Error() != "this host cannot join:\n  - no systemd\n  - port 15001 is in use" {
		t.Error(err)
	}
	if kept, err := w.store.KeyKept(); kept || err != nil || w.manager.Events() != "" {
		t.Errorf("key %v, %v; manager %q", kept, err, w.manager.Events())
	}
}

func TestFollowingGivesUpWithTheReason(t *testing.T) {
	turnedAway := local.Status{Agent: "test"}
	turnedAway.Facts.Connection = report.Connection{Reason: "MachineRevoked", Error: "machine shop/vm-1 was revoked"}
	failed := local.Status{Agent: "test"}
	failed.Facts.Connection.Up = true
	failed.Facts.Configuration = report.Configuration{Desired: "g1", Failed: "g1", Message: "no space on /var/lib/hawser"}
	for _, status := range []local.Status{turnedAway, failed} {
		watcher := &follower{progress: progress.New(&strings.Builder{}, false)}
		watcher.see(status)
		if watcher.failing() == "" || watcher.failing() != missing(status) || watcher.patience() <= stuck-time.Second {
			t.Errorf("failing %q, missing %q, patience %s", watcher.failing(), missing(status), watcher.patience())
		}
		watcher.see(ready())
		watcher.see(local.Status{})
		if watcher.failing() != "" {
			t.Errorf("failing %q after it passed", watcher.failing())
		}
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func closing(t *testing.T) string { return speaking(t, "") }

// speaking returns the address of a server that says something to whoever connects, and hangs up.
func speaking(t *testing.T, text string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = connection.Read(make([]byte, 4096))
			_, _ = connection.Write([]byte(text))
			_ = connection.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().String()
}
