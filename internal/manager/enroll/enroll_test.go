package enroll_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

func TestEnroll(t *testing.T) {
	w := newWorld(t)
	w.request.Host.Hostname = "Ratings-VM-1"
	response := must[*hawserv1.EnrollResponse](t)(w.enroll())
	leaf := must[*x509.Certificate](t)(x509.ParseCertificate(response.GetCertificateChain()[0]))
	if machine, err := identity.MachineOf(leaf); err != nil || machine.String() != "shop/ratings-vm-1" {
		t.Errorf("the certificate is of %v, %v", machine, err)
	}
	if life := leaf.NotAfter.Sub(now()); life != 24*time.Hour {
		t.Errorf("the certificate lives %v", life)
	}
	print := identity.FingerprintOf(leaf)
	want := fmt.Sprintf("token shop/firsttoken used by [ratings-vm-1]\nmachine shop/ratings-vm-1 group ratings key %.8s\n", print)
	if got := w.cluster.String(); got != want {
		t.Errorf("the cluster has\n%swant\n%s", got, want)
	}
	if ref := response.GetMachine(); ref.GetGroup() != "ratings" || ref.GetUid() == "" || len(response.GetTrustBundle()) != 1 {
		t.Errorf("response %v", response)
	}
}

// The admission is noted when the Machine is there, and before the certificate is: a state of the cluster that has the note has the Machine.
func TestAdmissionIsNotedBetweenMachineAndCertificate(t *testing.T) {
	w := newWorld(t)
	w.cluster.bookBroken = errors.New("etcd is down")
	if _, err := w.enroll(); !errors.Is(err, refusal.ManagerBusy) || len(w.cluster.machines) != 1 {
		t.Fatalf("got %v with %d machines", err, len(w.cluster.machines))
	}
	w.cluster.bookBroken = nil
	response := must[*hawserv1.EnrollResponse](t)(w.enroll())
	if got := w.cluster.stamped; len(got) != 1 || got[0] != "1 machines" {
		t.Errorf("noted %q", got)
	}
	leaf := must[*x509.Certificate](t)(x509.ParseCertificate(response.GetCertificateChain()[0]))
	if got := identity.AdmissionOf(leaf); got.Group != "ratings" || got.Stamp.Term != "7e2a7e2a7e2a7e2a" {
		t.Errorf("the certificate says %+v", got)
	}
	if got := w.cluster.machines[types.NamespacedName{Namespace: "shop", Name: "ratings-vm-1"}].Annotations[v1alpha1.AnnotationAdmitted]; got != "2026-08-01T10:00:00.000Z" {
		t.Errorf("the Machine says %q", got)
	}
}

func TestRepeatFinishesAJoin(t *testing.T) {
	w := newWorld(t)
	must[*hawserv1.EnrollResponse](t)(w.enroll())
	once := w.cluster.String()
	w.joined2(connected)
	must[*hawserv1.EnrollResponse](t)(w.enroll())
	if got := w.cluster.String(); got != once {
		t.Errorf("a repeated join changed\n%sto\n%s", once, got)
	}
	// A join that was cut off between the token and the Machine.
	clear(w.cluster.machines)
	must[*hawserv1.EnrollResponse](t)(w.enroll())
	if got := w.cluster.String(); got != once {
		t.Errorf("finishing a join gave\n%swant\n%s", got, once)
	}
}

// joined2 changes the machine that has joined.
func (w *world) joined2(change func(*v1alpha1.Machine)) {
	change(w.cluster.machines[types.NamespacedName{Namespace: "shop", Name: "ratings-vm-1"}])
}

func TestUnconnectedNameIsTakenOver(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.Machine){
		"gone": func(*v1alpha1.Machine) {},
		"lost-its-key": func(m *v1alpha1.Machine) {
			m.CreationTimestamp = meta.NewTime(now())
			m.Spec.MachineID = "id-of-ratings-vm-1"
		},
		"known-disconnected": func(m *v1alpha1.Machine) { connected(m); m.Status.Conditions[0].Status = meta.ConditionFalse },
		"away-for-a-minute": func(m *v1alpha1.Machine) {
			connected(m)
			m.Status.Conditions[0].Status, m.Status.Conditions[0].LastTransitionTime = meta.ConditionFalse, meta.NewTime(now().Add(-time.Minute))
		},
		"lost-its-key-just-now": func(m *v1alpha1.Machine) {
			connected(m)
			m.Status.Conditions[0].Status, m.Status.Conditions[0].LastTransitionTime = meta.ConditionFalse, meta.NewTime(now())
			m.Spec.MachineID = "id-of-ratings-vm-1"
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.joined(change)
			must[*hawserv1.EnrollResponse](t)(w.enroll())
			print := must[string](t)(identity.Fingerprint(&w.key.PublicKey))
			want := fmt.Sprintf("token shop/firsttoken used by [ratings-vm-1]\nmachine shop/ratings-vm-1 group ratings key %.8s\ntokens of shop/ratings-vm-1 voided\ntokens of shop/ratings-vm-1 voided\n", print)
			if got := w.cluster.String(); got != want {
				t.Errorf("the cluster has\n%swant\n%s", got, want)
			}
		})
	}
}

func TestTokenBoundsThatFit(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.JoinToken){
		"hostname": func(o *v1alpha1.JoinToken) { o.Spec.Hostname = "RATINGS-vm-1" },
		"network":  func(o *v1alpha1.JoinToken) { o.Spec.CIDRs = []string{"nonsense", "172.31.0.0/24"} },
		"last-use": func(o *v1alpha1.JoinToken) {
			o.Spec.MaxUses, o.Status.Uses = 2, []v1alpha1.JoinTokenUse{{Machine: "x", KeyFingerprint: "x"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.changeToken(change)
			must[*hawserv1.EnrollResponse](t)(w.enroll())
		})
	}
}

// Of many hosts that use the same token for one machine at once, exactly one gets in.
func TestOneTokenManyJoins(t *testing.T) {
	w := newWorld(t)
	const hosts = 16
	errs := make([]error, hosts)
	var wait sync.WaitGroup
	for i := range hosts {
		_, request := w.newHost(fmt.Sprintf("vm-%d", i), w.token)
		wait.Go(func() { _, errs[i] = w.service.Enroll(context.Background(), request) })
	}
	wait.Wait()
	w.expect(errs, 1, refusal.TokenUsed)
	if n := len(w.cluster.machines); n != 1 {
		t.Errorf("%d machines", n)
	}
}

func TestOneTokenForAllOfThem(t *testing.T) {
	w := newWorld(t)
	const hosts = 12
	w.changeToken(func(o *v1alpha1.JoinToken) { o.Spec.MaxUses = hosts })
	errs := make([]error, hosts)
	var wait sync.WaitGroup
	for i := range hosts {
		_, request := w.newHost(fmt.Sprintf("vm-%d", i), w.token)
		wait.Go(func() { _, errs[i] = w.service.Enroll(context.Background(), request) })
	}
	wait.Wait()
	w.expect(errs, hosts, "")
}

// Two hosts of one name with a token each: one of them has the name afterwards, and the other was told.
func TestOneNameTwoTokens(t *testing.T) {
	w := newWorld(t)
	_, second := w.newHost("ratings-vm-1", w.newToken(func(*v1alpha1.JoinTokenSpec) {}))
	second.Host.MachineId = "a clone"
	errs := make([]error, 2)
	var wait sync.WaitGroup
	for i, request := range []*hawserv1.EnrollRequest{w.request, second} {
		wait.Go(func() { _, errs[i] = w.service.Enroll(context.Background(), request) })
	}
	wait.Wait()
	w.expect(errs, 1, refusal.HostnameTaken)
}

func (w *world) expect(errs []error, accepted int, others refusal.Reason) {
	w.Helper()
	for _, err := range errs {
		switch {
		case err == nil:
			accepted--
		case !errors.Is(err, others):
			w.Errorf("refused with %v, want %s", err, others)
		}
	}
	if accepted != 0 {
		w.Errorf("%d joins more or less than wanted: %v", -accepted, errs)
	}
}

func TestRenew(t *testing.T) {
	w := newWorld(t)
	print := must[string](t)(identity.Fingerprint(&w.key.PublicKey))
	w.caller.machine = facts.Machine{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "vm"}, Group: "ratings", KeyFingerprint: print}
	response := must[*hawserv1.RenewResponse](t)(w.service.Renew(t.Context(), &hawserv1.RenewRequest{Csr: w.request.GetCsr()}))
	leaf := must[*x509.Certificate](t)(x509.ParseCertificate(response.GetCertificateChain()[0]))
	if machine, err := identity.MachineOf(leaf); err != nil || machine.String() != "shop/vm" || identity.FingerprintOf(leaf) != print {
		t.Errorf("renewed %v, %v", machine, err)
	}
	if got := identity.AdmissionOf(leaf); got != (identity.Admission{}) {
		t.Errorf("a certificate of an older manager was given the admission %+v", got)
	}
	w.caller.admission = identity.Admission{Group: "ratings", Stamp: identity.Stamp{Book: "0123456789abcdef", Term: "fedcba9876543210", Place: 1, Number: 1}}
	response = must[*hawserv1.RenewResponse](t)(w.service.Renew(t.Context(), &hawserv1.RenewRequest{Csr: w.request.GetCsr()}))
	if got := identity.AdmissionOf(must[*x509.Certificate](t)(x509.ParseCertificate(response.GetCertificateChain()[0]))); got != w.caller.admission {
		t.Errorf("renewed, it says %+v", got)
	}
	other, _ := w.newHost("x", w.token)
	if _, err := w.service.Renew(t.Context(), &hawserv1.RenewRequest{Csr: w.csr(other)}); !errors.Is(err, refusal.RequestInvalid) {
		t.Errorf("renewal for another key: %v", err)
	}
	w.caller.err = refusal.New(refusal.MachineRevoked, "machine", "shop/vm")
	if _, err := w.service.Renew(t.Context(), &hawserv1.RenewRequest{Csr: w.request.GetCsr()}); !errors.Is(err, refusal.MachineRevoked) {
		t.Errorf("renewal of a revoked machine: %v", err)
	}
}

// What is logged tells who joined with which token, and never its secret, nor more of what a host says than a line has room for.
func TestLog(t *testing.T) {
	w := newWorld(t)
	must[*hawserv1.EnrollResponse](t)(w.enroll())
	w.request.Host.Hostname = strings.Repeat("x", 100_000)
	if _, err := w.enroll(); err == nil {
		t.Error("a host with such a name was let in")
	}
	log := w.log.String()
	for _, want := range []string{"msg=\"certificate signed\"", "machine=shop/ratings-vm-1", "token=shop.firsttoken", "reason=HostnameInvalid"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, strings.Split(w.token.Reveal(), "_")[2]) {
		t.Errorf("the log tells the secret:\n%s", log)
	}
	if len(log) > 4000 {
		t.Errorf("the log has %d bytes", len(log))
	}
}
