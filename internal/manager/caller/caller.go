// Package caller tells which machine a call comes from, and whether it may still call. What comes in are the client certificate of a
// connection, the facts, and the Machine object; what goes out is the machine, or a refusal. There is no other way for a machine to say
// who it is. It changes nothing; a machine that would be refused because a restore of the cluster's state has forgotten it is taken back by package
// admission.
package caller

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// Machines reads Machine objects from the API server itself, not from a cache that may lag.
type Machines interface {
	// Machine returns an error that apierrors.IsNotFound knows if there is none.
	Machine(ctx context.Context, key types.NamespacedName) (facts.Machine, error)
}

// Readmission takes machines back; *admission.Readmitter does.
type Readmission interface {
	// Readmit returns the machine of a candidate whose key, group and stamp are signed; false if it is to be refused as any other.
	// An error is a refusal.
	Readmit(ctx context.Context, candidate facts.Machine, stamp identity.Stamp) (facts.Machine, bool, error)
}

// Checker checks calls. It keeps nothing and may be used from many goroutines.
type Checker struct {
	snapshot    func() facts.Facts
	machines    Machines
	readmission Readmission
	now         func() time.Time
}

// NewChecker makes a Checker. The snapshot answers for machines that it knows; the API server is asked before one is turned away, as
// the machine may have joined a moment ago through another replica.
func NewChecker(snapshot func() facts.Facts, machines Machines, readmission Readmission, now func() time.Time) *Checker {
	return &Checker{snapshot: snapshot, machines: machines, readmission: readmission, now: now}
}

// Machine returns the machine that calls: its certificate is valid now, is of the key that it joined with, and it was not revoked. The
// error is a *refusal.Error.
func (c *Checker) Machine(ctx context.Context) (facts.Machine, error) {
	machine, certificate, err := c.recoverable(ctx, Refuse, c.readmit)
	if err != nil {
		return facts.Machine{}, err
	}
	if c.now().After(certificate.NotAfter) {
		return facts.Machine{}, refusal.New(refusal.CertificateExpired, "machine", machine.NamespacedName, "expired", stamp(certificate.NotAfter))
	}
	return machine, nil
}

// Expiry is when the caller's certificate ends; zero if it has none.
func (c *Checker) Expiry(ctx context.Context) time.Time {
	certificate, err := certificateOf(ctx)
	if err != nil {
		return time.Time{}
	}
	return certificate.NotAfter
}

// Renewing is Machine for the call that may come with an expired certificate, within the recovery window of the machine's policy.
func (c *Checker) Renewing(ctx context.Context) (facts.Machine, error) {
	machine, _, err := c.recoverable(ctx, Refuse, c.readmit)
	return machine, err
}

// Leaving is Renewing for the call by which a machine leaves: one whose object is being deleted is expected to make it.
func (c *Checker) Leaving(ctx context.Context) (facts.Machine, error) {
	machine, _, err := c.recoverable(ctx, func(machine facts.Machine, fingerprint string) error {
		machine.Deleting = false
		return Refuse(machine, fingerprint)
	}, c.unknown)
	return machine, err
}

// Admission is what the caller's certificate says of how the machine came in; zero if it says nothing.
func (c *Checker) Admission(ctx context.Context) identity.Admission {
	certificate, err := certificateOf(ctx)
	if err != nil {
		return identity.Admission{}
	}
	return identity.AdmissionOf(certificate)
}

// refuse returns why a machine is turned away that shows a key with this fingerprint, or nil.
type refuse func(machine facts.Machine, fingerprint string) error

// last is asked before a machine is turned away that shows the certificate: it returns the machine all the same, or false.
type last func(ctx context.Context, certificate *x509.Certificate, key types.NamespacedName) (facts.Machine, bool, error)

// recoverable is the machine with a certificate that is valid, or ended within the recovery window.
func (c *Checker) recoverable(ctx context.Context, refuse refuse, last last) (facts.Machine, *x509.Certificate, error) {
	certificate, err := certificateOf(ctx)
	if err != nil {
		return facts.Machine{}, nil, err
	}
	machine, err := c.find(ctx, certificate, refuse, last)
	if err != nil {
		return facts.Machine{}, nil, err
	}
	if err := c.withinWindow(certificate, machine); err != nil {
		return facts.Machine{}, nil, err
	}
	return machine, certificate, nil
}

// withinWindow refuses a certificate that ended before the recovery window of the machine's policy.
func (c *Checker) withinWindow(certificate *x509.Certificate, machine facts.Machine) error {
	ends := certificate.NotAfter.Add(c.snapshot().PolicyOf(machine.Namespace, machine.Group).RecoveryWindow)
	if c.now().After(ends) {
		return refusal.New(refusal.RecoveryWindowPassed, "machine", machine.NamespacedName, "expired", stamp(certificate.NotAfter), "ended", stamp(ends))
	}
	return nil
}

// find tells which machine shows the certificate; whether that is still good is for its callers to say.
func (c *Checker) find(ctx context.Context, certificate *x509.Certificate, refuse refuse, last last) (facts.Machine, error) {
	id, err := identity.MachineOf(certificate)
	if err != nil {
		return facts.Machine{}, refusal.New(refusal.CertificateInvalid, "error", err)
	}
	key := types.NamespacedName{Namespace: id.Namespace, Name: id.Name}
	fingerprint := identity.FingerprintOf(certificate)
	if machine, ok := c.snapshot().Machines[key]; ok && !machine.Returning && refuse(machine, fingerprint) == nil {
		return machine, nil
	}
	machine, err := c.machines.Machine(ctx, key)
	switch {
	case apierrors.IsNotFound(err):
		err = Unknown(key)
	case err != nil:
		return facts.Machine{}, refusal.New(refusal.ManagerBusy, "action", fmt.Sprintf("look up machine %s", key)).Because(err)
	default:
		err = refuse(machine, fingerprint)
	}
	if err == nil && !machine.Returning || machine.Revoked {
		return machine, err
	}
	if readmitted, ok, failed := last(ctx, certificate, key); ok || failed != nil {
		return readmitted, failed
	}
	return machine, err
}

// readmit takes a machine back that a restore of the cluster's state has forgotten. What the certificate says is enough for that, as the CA
// signed all of it.
func (c *Checker) readmit(ctx context.Context, certificate *x509.Certificate, key types.NamespacedName) (facts.Machine, bool, error) {
	admission := identity.AdmissionOf(certificate)
	if admission.Stamp.IsZero() {
		return facts.Machine{}, false, nil
	}
	candidate := facts.Machine{NamespacedName: key, Group: admission.Group, KeyFingerprint: identity.FingerprintOf(certificate)}
	if c.withinWindow(certificate, candidate) != nil {
		return facts.Machine{}, false, nil
	}
	return c.readmission.Readmit(ctx, candidate, admission.Stamp)
}

// unknown takes nobody back: a machine that calls to leave is not there any more if the cluster does not know it.
func (c *Checker) unknown(context.Context, *x509.Certificate, types.NamespacedName) (facts.Machine, bool, error) {
	return facts.Machine{}, false, nil
}

// Refuse returns the *refusal.Error by which a machine is turned away that shows a key with this fingerprint, or nil.
func Refuse(machine facts.Machine, fingerprint string) error {
	switch {
	case machine.Revoked:
		return refusal.New(refusal.MachineRevoked, "machine", machine.NamespacedName,
			"delete", fmt.Sprintf("kubectl delete machine %s -n %s", machine.Name, machine.Namespace))
	case machine.Deleting:
		return Unknown(machine.NamespacedName)
	case machine.KeyFingerprint != fingerprint:
		return refusal.New(refusal.KeyMismatch, "machine", machine.NamespacedName)
	}
	return nil
}

// Unknown is the refusal of a machine that does not exist.
func Unknown(key types.NamespacedName) error {
	return refusal.New(refusal.MachineUnknown, "machine", key)
}

func certificateOf(ctx context.Context) (*x509.Certificate, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, refusal.New(refusal.CertificateMissing)
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return nil, refusal.New(refusal.CertificateMissing)
	}
	return info.State.PeerCertificates[0], nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
