package enroll

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"

	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/refusal"
)

// Tokens are the JoinToken objects, read from the API server itself. Errors are those of apierrors.
type Tokens interface {
	Token(ctx context.Context, key types.NamespacedName) (*v1alpha1.JoinToken, error)
	// UpdateTokenStatus fails with a conflict if the object has changed since it was read.
	UpdateTokenStatus(ctx context.Context, token *v1alpha1.JoinToken) error
}

// Machines are the Machine objects, read from the API server itself. Errors are those of apierrors.
type Machines interface {
	GetMachine(ctx context.Context, key types.NamespacedName) (*v1alpha1.Machine, error)
	// CreateMachine fills in what the API server adds.
	CreateMachine(ctx context.Context, machine *v1alpha1.Machine) error
	// UpdateMachine fails with a conflict if the object has changed since it was read.
	UpdateMachine(ctx context.Context, machine *v1alpha1.Machine) error
}

// Groups are the WorkloadGroups of the API server itself. Errors are those of apierrors.
type Groups interface {
	// GroupExists reports whether there is one that is not being deleted.
	GroupExists(ctx context.Context, key types.NamespacedName) (bool, error)
}

// Proxies gives the files of an image, as watch.Proxies does.
type Proxies interface {
	Ensure(ctx context.Context, image, architecture string) (facts.Proxy, error)
}

// Callers tells who calls; *caller.Checker is one.
type Callers interface {
	Renewing(ctx context.Context) (facts.Machine, error)
	// Admission is what the certificate that it calls with says of how it came in.
	Admission(ctx context.Context) identity.Admission
}

// Admissions are noted in the cluster's state; *admission.Keeper does it.
type Admissions interface {
	// Stamp notes an admission whose Machine has been written.
	Stamp(ctx context.Context) (identity.Stamp, error)
}

// IstioTokens voids what an earlier holder of a machine's name has got; *istiotoken.Minter is one.
type IstioTokens interface {
	Revoke(ctx context.Context, machine types.NamespacedName) error
}

// Options are what a Service works with. All but Observe are required.
type Options struct {
	Authority   *ca.Authority
	Facts       func() facts.Facts
	Proxies     Proxies
	Tokens      Tokens
	Machines    Machines
	Groups      Groups
	Callers     Callers
	Admissions  Admissions
	IstioTokens IstioTokens
	Now         func() time.Time
	Logger      *slog.Logger
	// Version of the manager.
	Version string
	// Observe hears of each call: method "enroll" or "renew", result "ok" or the reason of the refusal.
	Observe func(method, result string)
}

// Service is the EnrollmentService.
type Service struct {
	hawserv1.UnimplementedEnrollmentServiceServer
	Options
}

// NewService makes the service.
func NewService(options Options) *Service {
	if options.Observe == nil {
		options.Observe = func(string, string) {}
	}
	return &Service{Options: options}
}

// Enroll takes a host in.
func (s *Service) Enroll(ctx context.Context, request *hawserv1.EnrollRequest) (*hawserv1.EnrollResponse, error) {
	response, err := s.enroll(ctx, request)
	attributes := []any{"hostname", clipped(request.GetHost().GetHostname())}
	if token, err := jointoken.Parse(request.GetToken()); err == nil {
		attributes = append(attributes, "token", token.ID())
	}
	if machine := response.GetMachine(); machine != nil {
		attributes = append(attributes, "machine", machine.GetNamespace()+"/"+machine.GetName())
	}
	s.note("enroll", err, attributes...)
	return response, err
}

// enroll refuses before it writes: the token is the first thing to change, then the Machine, then the book of admissions; all may be repeated with
// the same key. That order is what the book is good for: a state of the cluster that has the admission in it has the Machine, too.
func (s *Service) enroll(ctx context.Context, request *hawserv1.EnrollRequest) (*hawserv1.EnrollResponse, error) {
	token, err := jointoken.Parse(request.GetToken())
	if err != nil {
		return nil, refusal.New(refusal.TokenMalformed, "error", err)
	}
	key, fingerprint, err := ca.RequestKey(request.GetCsr())
	if err != nil {
		return nil, s.invalid(err)
	}
	object, err := s.authentic(ctx, token)
	if err != nil {
		return nil, err
	}
	host := request.GetHost()
	if err := s.tokenAdmits(object, host, fingerprint); err != nil {
		return nil, err
	}
	candidate, err := s.hostFits(object, host, fingerprint)
	if err != nil {
		return nil, err
	}
	if err := s.groupKnown(ctx, candidate.GroupKey()); err != nil {
		return nil, err
	}
	if err := s.proxyFits(ctx, candidate, host); err != nil {
		return nil, err
	}
	if _, err := s.claimable(ctx, candidate, host); err != nil {
		return nil, err
	}
	if err := s.use(ctx, object, candidate); err != nil {
		return nil, err
	}
	machine, err := s.settle(ctx, candidate, host)
	if err != nil {
		return nil, err
	}
	stamp, err := s.Admissions.Stamp(ctx)
	if err != nil {
		return nil, busy("note the admission of machine "+candidate.String(), err)
	}
	certificate, err := s.sign(candidate, stamp, key)
	if err != nil {
		return nil, err
	}
	return &hawserv1.EnrollResponse{
		CertificateChain: [][]byte{certificate.Raw},
		TrustBundle:      [][]byte{s.Authority.Certificate().Raw},
		Machine:          &hawserv1.MachineRef{Namespace: machine.Namespace, Name: machine.Name, Group: machine.Spec.Group, Uid: string(machine.UID)},
	}, nil
}

// Renew gives a machine its next certificate, for the same key.
func (s *Service) Renew(ctx context.Context, request *hawserv1.RenewRequest) (*hawserv1.RenewResponse, error) {
	machine, response, err := s.renew(ctx, request)
	var attributes []any
	if err == nil {
		attributes = append(attributes, "machine", machine.String())
	}
	s.note("renew", err, attributes...)
	return response, err
}

func (s *Service) renew(ctx context.Context, request *hawserv1.RenewRequest) (facts.Machine, *hawserv1.RenewResponse, error) {
	machine, err := s.Callers.Renewing(ctx)
	if err != nil {
		return machine, nil, err
	}
	key, fingerprint, err := ca.RequestKey(request.GetCsr())
	if err != nil {
		return machine, nil, s.invalid(err)
	}
	if fingerprint != machine.KeyFingerprint {
		return machine, nil, s.invalid(errors.New("the certificate signing request is for another key than the machine joined with"))
	}
	certificate, err := s.sign(machine, s.Callers.Admission(ctx).Stamp, key)
	if err != nil {
		return machine, nil, err
	}
	return machine, &hawserv1.RenewResponse{
		CertificateChain: [][]byte{certificate.Raw},
		TrustBundle:      [][]byte{s.Authority.Certificate().Raw},
	}, nil
}

func (s *Service) sign(machine facts.Machine, stamp identity.Stamp, key crypto.PublicKey) (*x509.Certificate, error) {
	lifetime := s.Facts().PolicyOf(machine.Namespace, machine.Group).CertificateLifetime
	name := identity.Machine{Namespace: machine.Namespace, Name: machine.Name}
	certificate, err := s.Authority.SignMachine(name, identity.Admission{Group: machine.Group, Stamp: stamp}, key, s.Now(), lifetime)
	if err != nil {
		return nil, busy("sign a certificate", err)
	}
	return certificate, nil
}

func (s *Service) invalid(err error) error {
	return refusal.New(refusal.RequestInvalid, "error", err, "version", s.Version)
}

// busy is the refusal when the manager itself could not do something.
func busy(action string, cause error) error {
	return refusal.New(refusal.ManagerBusy, "action", action).Because(cause)
}

func (s *Service) note(method string, err error, attributes ...any) {
	if err == nil {
		s.Observe(method, "ok")
		s.Logger.Info("certificate signed", append(attributes, "method", method)...)
		return
	}
	result := "internal"
	if r, ok := refusal.FromError(err); ok {
		result = string(r.Reason)
		attributes = append(attributes, "reason", r.Reason)
		if cause := errors.Unwrap(r); cause != nil {
			attributes = append(attributes, "cause", cause)
		}
		if machine := r.Attributes["machine"]; machine != "" {
			attributes = append(attributes, "machine", machine)
		}
	}
	s.Observe(method, result)
	s.Logger.Warn("machine refused", append(attributes, "method", method, "error", err)...)
}
