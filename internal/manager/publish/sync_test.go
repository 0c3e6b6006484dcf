package publish_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

func TestNewMachineGetsStateAndToken(t *testing.T) {
	w := newWorld(t)
	s := w.stream(w.join("vm-1", time.Hour), "")
	state := s.state()
	if state.GetMachine().GetUid() != "uid-vm-1" || state.GetToken().GetToken() != "ratings of shop/vm-1" || state.GetProxy().GetVersion() != "1.31.4" {
		t.Errorf("state %v", state)
	}
	s.send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: &hawserv1.Report{AppliedGeneration: state.GetGeneration()}}})
	w.book.await(t, "vm-1 reported "+state.GetGeneration())
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	w.book.await(t, "vm-1 closed")
	if log := w.log.String(); !strings.Contains(log, `"machine":"shop/vm-1"`) || strings.Contains(log, state.GetToken().GetToken()) {
		t.Errorf("the log does not name the machine, or tells its token:\n%s", log)
	}
}

func TestCurrentMachineGetsNothing(t *testing.T) {
	w := newWorld(t)
	client := w.join("vm-1", time.Hour)
	generation := w.stream(client, "").state().GetGeneration()
	opened, err := client.Sync(w.context())
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{w, opened}
	s.send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Hello{Hello: &hawserv1.Hello{
		Generation: generation, TokenExpiry: time.Now().Add(24 * time.Hour).Unix(), ServiceAccount: "ratings",
		Host: &hawserv1.HostFacts{Architecture: "amd64", Addresses: []string{"172.31.0.11"}},
	}}})
	// The first thing that comes is what changes afterwards.
	s.send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: &hawserv1.Report{AppliedGeneration: "seen"}}})
	w.book.await(t, "vm-1 reported seen")
	w.change(func(f *facts.Facts) { f.RootCertificates = map[string]string{"shop": "another root"} })
	if state := s.state(); string(state.GetMesh().GetRootCertificates()) != "another root" {
		t.Errorf("state %v", state)
	}
}

// A machine that is to act as another ServiceAccount learns of it together with a token of that: its proxy would be refused with the other one.
func TestAccountAndTokenComeTogether(t *testing.T) {
	w := newWorld(t)
	s := w.stream(w.join("vm-1", time.Hour), "")
	s.state()
	group := types.NamespacedName{Namespace: "shop", Name: "ratings"}
	name := func(account string) {
		w.change(func(f *facts.Facts) {
			renamed := f.Groups[group]
			renamed.Spec = renamed.Spec.DeepCopy()
			renamed.Spec.Template.ServiceAccount = account
			f.Groups = map[types.NamespacedName]facts.Group{group: renamed}
		})
	}
	name("other")
	state := s.state()
	if account := accountOf(state); account != "other" || state.GetToken().GetToken() != "other of shop/vm-1" {
		t.Errorf("acts as %s with the token %q", account, state.GetToken().GetToken())
	}
	w.mu.Lock()
	w.mintErr = errors.New("no such account")
	w.mu.Unlock()
	name("absent")
	state = s.state()
	if account := accountOf(state); account != "other" || state.GetToken() != nil || state.GetNotices()[0].GetReason() != facts.ReasonAccountPending {
		t.Errorf("acts as %s, token %v, notices %v", account, state.GetToken(), state.GetNotices())
	}
	w.book.await(t, "vm-1 has problem "+facts.ReasonAccountPending)
	// All else is followed meanwhile.
	w.change(func(f *facts.Facts) { f.RootCertificates = map[string]string{"shop": "another root"} })
	if state := s.state(); string(state.GetMesh().GetRootCertificates()) != "another root" || accountOf(state) != "other" {
		t.Errorf("state %v", state)
	}
}

func accountOf(state *hawserv1.DesiredState) string {
	for _, variable := range state.GetMesh().GetEnvironment() {
		if variable.GetName() == "SERVICE_ACCOUNT" {
			return variable.GetValue()
		}
	}
	return ""
}

func TestLatestWins(t *testing.T) {
	w := newWorld(t)
	s := w.stream(w.join("vm-1", time.Hour), "")
	s.state()
	for i := range 50 {
		w.change(func(f *facts.Facts) { f.RootCertificates = map[string]string{"shop": fmt.Sprintf("root %d", i)} })
	}
	for n := 1; ; n++ {
		if string(s.state().GetMesh().GetRootCertificates()) == "root 49" {
			t.Logf("%d states for 50 changes", n)
			return
		}
	}
}

func TestRevokedAndDeletedMachinesAreCutAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*facts.Machine) bool
		want   string
	}{
		"revoked":  {func(m *facts.Machine) bool { m.Revoked = true; return true }, "was revoked"},
		"rekeyed":  {func(m *facts.Machine) bool { m.KeyFingerprint = "another"; return true }, "has joined again with another key"},
		"deleted":  {func(*facts.Machine) bool { return false }, "removed: the Machine shop/vm-1 was deleted"},
		"deleting": {func(m *facts.Machine) bool { m.Deleting = true; return true }, "removed: the Machine shop/vm-1 was deleted"},
		"again":    {func(m *facts.Machine) bool { m.UID = "another"; return true }, "opened a newer stream"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			client := w.join("vm-1", time.Hour)
			other := w.stream(w.join("vm-2", time.Hour), "")
			other.state()
			s := w.stream(client, "")
			s.state()
			w.setMachine("vm-1", c.change)
			if got := s.next(); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			w.book.await(t, "vm-1 closed")
			w.change(func(f *facts.Facts) { f.RootCertificates = map[string]string{"shop": "another"} })
			if got := other.next(); !strings.HasPrefix(got, "state of vm-2") {
				t.Errorf("the other machine got %q", got)
			}
		})
	}
}

func TestCallsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		client hawserv1.MachineServiceClient
		want   refusal.Reason
	}{
		"without-certificate": {w.dial(nil), refusal.CertificateMissing},
		"expired":             {w.join("vm-old", -time.Hour), refusal.CertificateExpired},
		"revoked":             {w.joinAnd("vm-revoked", func(m *facts.Machine) bool { m.Revoked = true; return true }), refusal.MachineRevoked},
		"unknown":             {w.joinAnd("vm-gone", func(*facts.Machine) bool { return false }), refusal.MachineUnknown},
		"key":                 {w.joinAnd("vm-key", func(m *facts.Machine) bool { m.KeyFingerprint = "x"; return true }), refusal.KeyMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want != refusal.CertificateExpired {
				_, err := c.client.Leave(w.context(), &hawserv1.LeaveRequest{})
				w.refused(t, "Leave", err, c.want)
			}
			if c.want != refusal.MachineUnknown {
				opened, err := c.client.Sync(w.context())
				if err == nil {
					_, err = opened.Recv()
				}
				w.refused(t, "Sync", err, c.want)
			}
			read, err := c.client.ReadArtifact(w.context(), &hawserv1.ReadArtifactRequest{Sha256: "f11e"})
			if err == nil {
				_, err = read.Recv()
			}
			w.refused(t, "ReadArtifact", err, c.want)
		})
	}
	// A machine of another cluster does not get through the handshake.
	elsewhere := w.dial(newWorld(t).certify("vm-revoked", time.Hour))
	if _, err := elsewhere.Leave(w.context(), &hawserv1.LeaveRequest{}); status.Code(err) != codes.Unavailable {
		t.Errorf("a certificate of another CA: %v", err)
	}
	if len(w.removed) != 0 {
		t.Errorf("removed %v", w.removed)
	}
	// Leaving is the call that an expired certificate is good for, within the recovery window.
	if _, err := w.join("vm-late", -time.Hour).Leave(w.context(), &hawserv1.LeaveRequest{}); err != nil || len(w.removed) != 1 {
		t.Errorf("with an expired certificate: removed %v, %v", w.removed, err)
	}
}

// A machine that was away while its Machine was deleted leaves when it comes back, as one does that was connected.
func TestMachineDeletedWhileAwayIsToldToLeave(t *testing.T) {
	for name, change := range map[string]func(*facts.Machine) bool{
		"deleted":  func(*facts.Machine) bool { return false },
		"deleting": func(m *facts.Machine) bool { m.Deleting = true; return true },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			s := w.stream(w.joinAnd("vm-1", change), "")
			if got := s.next(); got != "removed: the Machine shop/vm-1 was deleted in Kubernetes" {
				t.Errorf("got %q", got)
			}
			if _, err := s.Recv(); !errors.Is(err, io.EOF) {
				t.Errorf("the stream ended with %v", err)
			}
			if n := w.hub.Connected(); n != 0 {
				t.Errorf("%d connected", n)
			}
		})
	}
}

func (w *world) joinAnd(name string, change func(*facts.Machine) bool) hawserv1.MachineServiceClient {
	w.Helper()
	client := w.join(name, time.Hour)
	w.setMachine(name, change)
	return client
}

func (w *world) refused(t *testing.T, call string, err error, want refusal.Reason) {
	t.Helper()
	if got, ok := refusal.FromError(err); !ok || got.Reason != want {
		t.Errorf("%s: %v, want %s", call, err, want)
	}
}

func TestLeave(t *testing.T) {
	w := newWorld(t)
	if _, err := w.join("vm-1", time.Hour).Leave(w.context(), &hawserv1.LeaveRequest{}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(w.removed, " "); got != "shop/vm-1" {
		t.Errorf("removed %q", got)
	}
}

func TestSecondStreamReplacesTheFirst(t *testing.T) {
	w := newWorld(t)
	client := w.join("vm-1", time.Hour)
	first := w.stream(client, "")
	first.state()
	second := w.stream(client, "")
	second.state()
	if _, err := first.Recv(); !errors.Is(asRefusal(err), refusal.SessionReplaced) {
		t.Errorf("the first stream ended with %v", err)
	}
	w.book.await(t, "vm-1 closed")
	if n := w.hub.Connected(); n != 1 {
		t.Errorf("%d connected", n)
	}
}

func TestStreamEndsWhenTheCertificateDoes(t *testing.T) {
	w := newWorld(t)
	s := w.stream(w.join("vm-1", 3*time.Second), "")
	s.state()
	if _, err := s.Recv(); !errors.Is(asRefusal(err), refusal.CertificateExpired) {
		t.Errorf("the stream ended with %v", err)
	}
	w.book.await(t, "vm-1 closed")
}

func TestProblemIsRecordedAndTheStreamStands(t *testing.T) {
	w := newWorld(t)
	s := w.stream(w.join("vm-1", time.Hour), "")
	s.state()
	w.change(func(f *facts.Facts) { f.Groups = nil })
	w.book.await(t, "vm-1 has problem GroupNotFound")
	w.change(func(f *facts.Facts) { f.Gateways = nil })
	if n := w.hub.Connected(); n != 1 {
		t.Errorf("%d connected", n)
	}
}

func TestStreamWithoutHello(t *testing.T) {
	w := newWorld(t)
	opened, err := w.join("vm-1", time.Hour).Sync(w.context())
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{w, opened}
	s.send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: &hawserv1.Report{}}})
	_, err = s.Recv()
	const want = "the request is not valid: the first message of a stream is not a hello: install the agent of the manager's version (0.1.0)"
	if got := asRefusal(err); got == nil || got.Error() != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestStopSendsMachinesAway(t *testing.T) {
	w := newWorld(t)
	client := w.join("vm-1", time.Hour)
	s := w.stream(client, "")
	s.state()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.hub.Stop(ctx)
	if ctx.Err() != nil || w.hub.Connected() != 0 {
		t.Errorf("%d still connected", w.hub.Connected())
	}
	if _, err := s.Recv(); !errors.Is(asRefusal(err), refusal.ManagerStopping) {
		t.Errorf("the stream ended with %v", err)
	}
	if _, err := w.stream(client, "").Recv(); !errors.Is(asRefusal(err), refusal.ManagerStopping) {
		t.Errorf("a new stream ended with %v", err)
	}
}

// A hundred machines connect, see twenty changes, and end up with the last one.
func TestManyStreams(t *testing.T) {
	w := newWorld(t)
	const machines = 100
	streams := make([]*stream, machines)
	for i := range streams {
		streams[i] = w.stream(w.join(fmt.Sprintf("vm-%d", i), time.Hour), "")
	}
	var reading sync.WaitGroup
	for i, s := range streams {
		reading.Go(func() {
			for {
				response, err := s.Recv()
				if err != nil {
					t.Errorf("vm-%d: %v", i, err)
					return
				}
				if name := response.GetState().GetMachine().GetName(); name != fmt.Sprintf("vm-%d", i) {
					t.Errorf("vm-%d got the state of %q", i, name)
				}
				if string(response.GetState().GetMesh().GetRootCertificates()) == "root 19" {
					return
				}
			}
		})
	}
	for i := range 20 {
		w.change(func(f *facts.Facts) { f.RootCertificates = map[string]string{"shop": fmt.Sprintf("root %d", i)} })
	}
	reading.Wait()
	if n := w.hub.Connected(); n != machines {
		t.Errorf("%d connected", n)
	}
	if w.minted != machines {
		t.Errorf("%d tokens for %d machines", w.minted, machines)
	}
}

func TestMachineIsServedBeforeTheSnapshotHasIt(t *testing.T) {
	w := newWorld(t)
	client := w.join("vm-1", time.Hour)
	key := types.NamespacedName{Namespace: "shop", Name: "vm-1"}
	machine := w.snapshot().Machines[key]
	if machine.UID == "" {
		t.Fatal("no machine")
	}
	s := w.stream(client, "")
	first := s.state()
	w.change(func(f *facts.Facts) { f.RootCertificates = map[string]string{"shop": "x"} })
	if proto.Equal(first, s.state()) {
		t.Error("the same state came twice")
	}
}

func asRefusal(err error) error {
	if r, ok := refusal.FromError(err); ok {
		return r
	}
	return err
}
