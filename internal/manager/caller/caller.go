// Package caller tells which machine a call comes from, and whether it may still call. What comes in are the client certificate of a
// connection, the facts, and the Machine object; what goes out is the machine, or a refusal. There is no other way for a machine to say
// who it is. It changes nothing.
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

// Checker checks calls. It keeps nothing and may be used from many goroutines.
type Checker struct {
	snapshot func() facts.Facts
	machines Machines
	now      func() time.Time
}

// NewChecker makes a Checker. The snapshot answers for machines that it knows; the API server is asked before one is turned away, as
// the machine may have joined a moment ago through another replica.
func NewChecker(snapshot func() facts.Facts, machines Machines, now func() time.Time) *Checker {
	return &Checker{snapshot: snapshot, machines: machines, now: now}
}

// Machine returns the machine that calls: its certificate is valid now, is of the key that it joined with, and it was not revoked. The
// error is a *refusal.Error.
func (c *Checker) Machine(ctx context.Context) (facts.Machine, error) {
	machine, certificate, err := c.recoverable(ctx, Refuse)
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
	machine, _, err := c.recoverable(ctx, Refuse)
	return machine, err
}

// Leaving is Renewing for the call by which a machine leaves: one whose object is being deleted is expected to make it.
func (c *Checker) Leaving(ctx context.Context) (facts.Machine, error) {
	machine, _, err := c.recoverable(ctx, func(machine facts.Machine, fingerprint string) error {
		machine.Deleting = false
		return Refuse(machine, fingerprint)
	})
	return machine, err
}

// refuse returns why a machine is turned away that shows a key with this fingerprint, or nil.
type refuse func(machine facts.Machine, fingerprint string) error

// recoverable is the machine with a certificate that is valid, or ended within the recovery window.
func (c *Checker) recoverable(ctx context.Context, refuse refuse) (facts.Machine, *x509.Certificate, error) {
	machine, certificate, err := c.identify(ctx, refuse)
	if err != nil {
		return facts.Machine{}, nil, err
	}
	ends := certificate.NotAfter.Add(c.snapshot().PolicyOf(machine.Namespace, machine.Group).RecoveryWindow)
	if c.now().After(ends) {
		return facts.Machine{}, nil, refusal.New(refusal.RecoveryWindowPassed, "machine", machine.NamespacedName,
			"expired", stamp(certificate.NotAfter), "ended", stamp(ends))
	}
	return machine, certificate, nil
}

// identify tells which machine shows which certificate; whether the certificate is still good is for its callers to say.
func (c *Checker) identify(ctx context.Context, refuse refuse) (facts.Machine, *x509.Certificate, error) {
	certificate, err := certificateOf(ctx)
	if err != nil {
		return facts.Machine{}, nil, err
	}
	machine, err := c.find(ctx, certificate, refuse)
	return machine, certificate, err
}

func (c *Checker) find(ctx context.Context, certificate *x509.Certificate, refuse refuse) (facts.Machine, error) {
	id, err := identity.MachineOf(certificate)
	if err != nil {
		return facts.Machine{}, refusal.New(refusal.CertificateInvalid, "error", err)
	}
	key := types.NamespacedName{Namespace: id.Namespace, Name: id.Name}
	fingerprint := identity.FingerprintOf(certificate)
	if machine, ok := c.snapshot().Machines[key]; ok && refuse(machine, fingerprint) == nil {
		return machine, nil
	}
	machine, err := c.machines.Machine(ctx, key)
	if apierrors.IsNotFound(err) {
		return facts.Machine{}, Unknown(key)
	}
	if err != nil {
		return facts.Machine{}, refusal.New(refusal.ManagerBusy, "action", fmt.Sprintf("look up machine %s", key)).Because(err)
	}
	if err := refuse(machine, fingerprint); err != nil {
		return facts.Machine{}, err
	}
	return machine, nil
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
