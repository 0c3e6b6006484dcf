package caller_test

import (
	"crypto/x509/pkix"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

func admitted() identity.Admission {
	return identity.Admission{Group: "ratings", Stamp: identity.Stamp{Book: "0123456789abcdef", Term: "fedcba9876543210", Place: 1, Number: now().UnixMilli()}}
}

// A machine that would be turned away is taken back if a restore has forgotten it: by name, group and key of its certificate, and no others.
func TestWhoIsTakenBack(t *testing.T) {
	const none = ""
	own := func(f func(m *facts.Machine)) func(w *world) { return func(w *world) { w.everywhere(f) } }
	for name, c := range map[string]struct {
		spoil func(w *world)
		asked bool
		// otherwise is the refusal of one that is not taken back.
		otherwise refusal.Reason
	}{
		"known":             {func(*world) {}, false, none},
		"gone":              {func(w *world) { w.snapshot.Machines, w.live = nil, nil }, true, refusal.MachineUnknown},
		"another-key":       {own(func(m *facts.Machine) { m.KeyFingerprint = "other" }), true, refusal.KeyMismatch},
		"being-deleted":     {own(func(m *facts.Machine) { m.Deleting = true }), true, refusal.MachineUnknown},
		"returning":         {own(func(m *facts.Machine) { m.Returning = true }), true, none},
		"returned-meantime": {func(w *world) { w.change(w.snapshot.Machines, func(m *facts.Machine) { m.Returning = true }) }, false, none},
		"revoked":           {own(func(m *facts.Machine) { m.Revoked = true }), false, refusal.MachineRevoked},
		"broken":            {func(w *world) { w.snapshot.Machines, w.broken = nil, errors.New("etcd is down") }, false, refusal.ManagerBusy},
		"older-manager":     {func(w *world) { w.snapshot.Machines, w.live, w.template.Subject = nil, nil, pkix.Name{} }, false, refusal.MachineUnknown},
		"window-passed": {func(w *world) {
			w.snapshot.Machines, w.live = nil, nil
			w.template.NotAfter = now().Add(-31 * 24 * time.Hour)
		}, false, refusal.MachineUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.template.Subject = admitted().Subject(identity.Machine{Namespace: "shop", Name: "vm"})
			c.spoil(w)
			for what, call := range w.calls() {
				w.candidates, w.readmits = nil, false
				_, err := call()
				if refused, _ := refusal.FromError(err); c.otherwise == none && err != nil || c.otherwise != none && (refused == nil || refused.Reason != c.otherwise) {
					t.Errorf("%s: got %v, want %q", what, err, c.otherwise)
				}
				fingerprint := identity.FingerprintOf(w.certificate())
				var want []string
				if c.asked {
					want = []string{"shop/vm of ratings, key " + fingerprint[:4] + ", " + admitted().Stamp.String()}
				}
				if !slices.Equal(w.candidates, want) {
					t.Errorf("%s: candidates %q, want %q", what, w.candidates, want)
				}
				w.readmits = true
				if machine, err := call(); c.asked && (err != nil || machine.UID != "anew") {
					t.Errorf("%s: got %+v, %v", what, machine, err)
				}
			}
			// A host that leaves is gone: it makes no Machine, and finds out that there is none.
			w.candidates = nil
			if _, err := w.checker().Leaving(call(w.certificate())); name == "gone" && !errors.Is(err, refusal.MachineUnknown) || len(w.candidates) != 0 {
				t.Errorf("a leave: %v, candidates %q", err, w.candidates)
			}
		})
	}
}

func (w *world) calls() map[string]func() (facts.Machine, error) {
	return map[string]func() (facts.Machine, error){
		"any":   func() (facts.Machine, error) { return w.checker().Machine(call(w.certificate())) },
		"renew": func() (facts.Machine, error) { return w.checker().Renewing(call(w.certificate())) },
	}
}

// A refusal to take it back is the answer, and not that it is unknown, by which it would leave.
func TestRefusalToTakeBack(t *testing.T) {
	w := newWorld(t)
	w.template.Subject = admitted().Subject(identity.Machine{Namespace: "shop", Name: "vm"})
	w.snapshot.Machines, w.live = nil, nil
	w.refused = refusal.New(refusal.MachineForgotten, "machine", "shop/vm", "group", "shop/ratings")
	if _, err := w.checker().Machine(call(w.certificate())); !errors.Is(err, refusal.MachineForgotten) {
		t.Errorf("got %v", err)
	}
}

// One that has expired is taken back, and told to renew.
func TestExpiredCertificateIsTakenBack(t *testing.T) {
	w := newWorld(t)
	w.template.Subject, w.template.NotAfter = admitted().Subject(identity.Machine{Namespace: "shop", Name: "vm"}), now().Add(-time.Hour)
	w.snapshot.Machines, w.live, w.readmits = nil, nil, true
	if _, err := w.checker().Machine(call(w.certificate())); !errors.Is(err, refusal.CertificateExpired) || len(w.candidates) != 1 {
		t.Errorf("got %v, candidates %q", err, w.candidates)
	}
	if got := w.checker().Admission(call(w.certificate())); got != admitted() {
		t.Errorf("admission %+v", got)
	}
	if got := w.checker().Admission(call()); got != (identity.Admission{}) {
		t.Errorf("admission of nobody: %+v", got)
	}
}
