package caller_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/caller"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

func now() time.Time { return time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC) }

// world is a machine that calls, what the snapshot has of it, and what the API server has.
type world struct {
	*testing.T
	key      *ecdsa.PrivateKey
	template *x509.Certificate
	snapshot facts.Facts
	live     map[types.NamespacedName]facts.Machine
	broken   error
	// asked counts calls of the API server.
	asked int
	// candidates were to be taken back, and are if readmits says so.
	candidates []string
	readmits   bool
	refused    error
}

var (
	_ caller.Machines    = (*world)(nil)
	_ caller.Readmission = (*world)(nil)
)

func (w *world) Readmit(_ context.Context, candidate facts.Machine, stamp identity.Stamp) (facts.Machine, bool, error) {
	w.candidates = append(w.candidates, fmt.Sprintf("%s of %s, key %.4s, %s", candidate, candidate.Group, candidate.KeyFingerprint, stamp))
	candidate.UID = "anew"
	return candidate, w.readmits, w.refused
}

func (w *world) Machine(_ context.Context, key types.NamespacedName) (facts.Machine, error) {
	w.asked++
	if w.broken != nil {
		return facts.Machine{}, w.broken
	}
	if machine, ok := w.live[key]; ok {
		return machine, nil
	}
	return facts.Machine{}, apierrors.NewNotFound(schema.GroupResource{Resource: "machines"}, key.Name)
}

// newWorld has machine shop/vm in the snapshot and in the API server, and its certificate ends in an hour.
func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	fingerprint, err := identity.Fingerprint(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, key: key, template: &x509.Certificate{
		NotAfter: now().Add(time.Hour),
		URIs:     []*url.URL{identity.Machine{Namespace: "shop", Name: "vm"}.URI()},
	}}
	machine := facts.Machine{
		NamespacedName: types.NamespacedName{Namespace: "shop", Name: "vm"}, UID: "u", Group: "ratings", KeyFingerprint: fingerprint,
	}
	w.snapshot.Machines = map[types.NamespacedName]facts.Machine{machine.NamespacedName: machine}
	w.live = map[types.NamespacedName]facts.Machine{machine.NamespacedName: machine}
	return w
}

func (w *world) change(machines map[types.NamespacedName]facts.Machine, change func(*facts.Machine)) {
	for key, machine := range machines {
		change(&machine)
		machines[key] = machine
	}
}

func (w *world) everywhere(change func(*facts.Machine)) {
	w.change(w.snapshot.Machines, change)
	w.change(w.live, change)
}

func (w *world) certificate() *x509.Certificate {
	w.Helper()
	der, err := x509.CreateCertificate(rand.Reader, w.template, w.template, &w.key.PublicKey, w.key)
	if err != nil {
		w.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		w.Fatal(err)
	}
	return certificate
}

func (w *world) checker() *caller.Checker {
	return caller.NewChecker(func() facts.Facts { return w.snapshot }, w, w, now)
}

// call is the context of a call over a connection with these certificates.
func call(certificates ...*x509.Certificate) context.Context {
	info := credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: certificates}}
	return peer.NewContext(context.Background(), &peer.Peer{AuthInfo: info})
}

func TestKnownMachineNeedsNoCallOfTheAPIServer(t *testing.T) {
	w := newWorld(t)
	w.broken = errors.New("etcd is down")
	machine, err := w.checker().Machine(call(w.certificate()))
	if err != nil || machine.String() != "shop/vm" || machine.UID != "u" || w.asked != 0 {
		t.Errorf("got %v, %v after %d calls", machine, err, w.asked)
	}
}

// The snapshot lags: a machine that it turns away is looked up once more.
func TestSnapshotThatLagsTurnsNobodyAway(t *testing.T) {
	for name, old := range map[string]func(w *world){
		"joined-elsewhere": func(w *world) { w.snapshot.Machines = nil },
		"joined-again":     func(w *world) { w.change(w.snapshot.Machines, func(m *facts.Machine) { m.KeyFingerprint = "old" }) },
		"deleted-before":   func(w *world) { w.change(w.snapshot.Machines, func(m *facts.Machine) { m.Deleting = true }) },
		"revoked-before": func(w *world) {
			w.change(w.snapshot.Machines, func(m *facts.Machine) { m.Revoked, m.UID = true, "old" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			old(w)
			if machine, err := w.checker().Machine(call(w.certificate())); err != nil || machine.UID != "u" || w.asked != 1 {
				t.Errorf("got %v, %v after %d calls", machine, err, w.asked)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	w := newWorld(t)
	if got := w.checker().Expiry(call(w.certificate())); !got.Equal(now().Add(time.Hour)) {
		t.Errorf("got %v", got)
	}
	if got := w.checker().Expiry(context.Background()); !got.IsZero() {
		t.Errorf("without a connection: %v", got)
	}
}

func TestRenewingWithinTheRecoveryWindow(t *testing.T) {
	w := newWorld(t)
	w.template.NotAfter = now().Add(-29 * 24 * time.Hour)
	if machine, err := w.checker().Renewing(call(w.certificate())); err != nil || machine.String() != "shop/vm" {
		t.Errorf("got %v, %v", machine, err)
	}
	if _, err := w.checker().Machine(call(w.certificate())); !errors.Is(err, refusal.CertificateExpired) {
		t.Errorf("any other call: %v", err)
	}
}

// A machine that was told to leave says when it has, also with a certificate that ended meanwhile.
func TestLeavingWhileTheObjectIsBeingDeleted(t *testing.T) {
	w := newWorld(t)
	w.template.NotAfter = now().Add(-time.Hour)
	w.everywhere(func(m *facts.Machine) { m.Deleting = true })
	if machine, err := w.checker().Leaving(call(w.certificate())); err != nil || machine.UID != "u" {
		t.Errorf("got %v, %v", machine, err)
	}
	w.everywhere(func(m *facts.Machine) { m.KeyFingerprint = "another" })
	if _, err := w.checker().Leaving(call(w.certificate())); !errors.Is(err, refusal.KeyMismatch) {
		t.Errorf("another host: %v", err)
	}
}

func refusals() []struct {
	name   string
	reason refusal.Reason
	spoil  func(w *world)
} {
	old := func(w *world) { w.template.NotAfter = now().Add(-time.Hour) }
	return []struct {
		name   string
		reason refusal.Reason
		spoil  func(w *world)
	}{
		{"certificate-of-no-machine", refusal.CertificateInvalid, func(w *world) { w.template.URIs = nil }},
		{"certificate-of-two-machines", refusal.CertificateInvalid, func(w *world) { w.template.URIs = append(w.template.URIs, w.template.URIs[0]) }},
		{"certificate-of-the-mesh", refusal.CertificateInvalid, func(w *world) {
			w.template.URIs = []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: "/ns/shop/sa/ratings"}}
		}},
		{"certificate-expired", refusal.CertificateExpired, old},
		{"machine-deleted", refusal.MachineUnknown, func(w *world) { w.snapshot.Machines, w.live = nil, nil }},
		{"machine-being-deleted", refusal.MachineUnknown, func(w *world) { w.everywhere(func(m *facts.Machine) { m.Deleting = true }) }},
		{"machine-revoked", refusal.MachineRevoked, func(w *world) { w.everywhere(func(m *facts.Machine) { m.Revoked = true }) }},
		// Whoever holds a revoked machine's old key learns that, and not that its certificate could be renewed.
		{"machine-revoked-and-expired", refusal.MachineRevoked, func(w *world) { old(w); w.everywhere(func(m *facts.Machine) { m.Revoked = true }) }},
		{"machine-joined-with-another-key", refusal.KeyMismatch, func(w *world) { w.everywhere(func(m *facts.Machine) { m.KeyFingerprint = "another" }) }},
		{"api-server-broken", refusal.ManagerBusy, func(w *world) { w.snapshot.Machines, w.broken = nil, errors.New("etcd is down") }},
	}
}

// Each refusal of a machine that has joined has its reason and tells what to do next (testdata/refusals.txt).
func TestRefusals(t *testing.T) {
	var texts bytes.Buffer
	write := func(t *testing.T, name string, err error, want refusal.Reason) {
		t.Helper()
		got, ok := refusal.FromError(err)
		if !ok || got.Reason != want {
			t.Fatalf("got %v, want %s", err, want)
		}
		fmt.Fprintf(&texts, "%s (%s)\n  %s\n  next: %s\n", name, got.Reason, got.Message, got.Next)
	}
	for _, c := range refusals() {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(w)
			_, err := w.checker().Machine(call(w.certificate()))
			write(t, c.name, err, c.reason)
			if _, err := w.checker().Renewing(call(w.certificate())); c.reason != refusal.CertificateExpired && !errors.Is(err, c.reason) {
				t.Errorf("a renewal: %v", err)
			}
			if _, err := w.checker().Leaving(call(w.certificate())); c.reason != refusal.CertificateExpired && c.name != "machine-being-deleted" && !errors.Is(err, c.reason) {
				t.Errorf("a leave: %v", err)
			}
		})
	}
	t.Run("recovery-window-passed", func(t *testing.T) {
		w := newWorld(t)
		w.template.NotAfter = now().Add(-2 * time.Hour)
		w.snapshot.Policies = map[string][]*v1alpha1.MachinePolicy{"shop": {{
			ObjectMeta: metav1.ObjectMeta{Name: "strict"},
			Spec:       v1alpha1.MachinePolicySpec{Identity: &v1alpha1.Identity{RecoveryWindow: &metav1.Duration{Duration: time.Hour}}},
		}}}
		_, err := w.checker().Renewing(call(w.certificate()))
		write(t, "recovery-window-passed", err, refusal.RecoveryWindowPassed)
		// The stream says so as well: it is what an agent shows, and "renews it" would be wrong by now.
		if _, err := w.checker().Machine(call(w.certificate())); !errors.Is(err, refusal.RecoveryWindowPassed) {
			t.Errorf("any other call: %v", err)
		}
	})
	for name, ctx := range map[string]context.Context{
		"without-connection":  context.Background(),
		"without-TLS":         peer.NewContext(context.Background(), &peer.Peer{}),
		"without-certificate": call(),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newWorld(t).checker().Machine(ctx); !errors.Is(err, refusal.CertificateMissing) {
				t.Errorf("got %v", err)
			}
		})
	}
	if !t.Failed() {
		golden.Check(t, "refusals.txt", texts.String())
	}
}
