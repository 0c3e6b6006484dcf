package managertest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/refusal"
)

type enrollment struct {
	hawserv1.UnimplementedEnrollmentServiceServer
	manager *Manager
}

// Group that all machines join.
const Group = "ratings"

func (e enrollment) Enroll(_ context.Context, request *hawserv1.EnrollRequest) (*hawserv1.EnrollResponse, error) {
	m := e.manager
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if err := m.refused(); err != nil {
		return nil, err
	}
	token, err := jointoken.Parse(request.GetToken())
	if err != nil {
		return nil, refusal.New(refusal.TokenMalformed, "error", err)
	}
	used, known := m.tokens[token.ID()]
	if !known {
		return nil, refusal.New(refusal.TokenUnknown, "token", token.ID())
	}
	machine := identity.Machine{Namespace: token.Namespace, Name: strings.ToLower(request.GetHost().GetHostname())}
	leaf, fingerprint, err := m.authority.machine(request.GetCsr(), machine.URI(), m.life)
	if err != nil {
		return nil, refusal.New(refusal.RequestInvalid, "error", err, "version", "test")
	}
	if used != "" && used != fingerprint {
		return nil, refusal.New(refusal.TokenUsed, "token", token.ID(), "machines", machine.Name, "group", Group)
	}
	m.tokens[token.ID()], m.machines[machine] = fingerprint, fingerprint
	m.record("enroll %s", machine)
	return &hawserv1.EnrollResponse{
		CertificateChain: [][]byte{leaf}, TrustBundle: [][]byte{m.authority.certificate.Raw},
		Machine: &hawserv1.MachineRef{Namespace: machine.Namespace, Name: machine.Name, Group: Group, Uid: "uid-" + machine.Name},
	}, nil
}

func (e enrollment) Renew(ctx context.Context, request *hawserv1.RenewRequest) (*hawserv1.RenewResponse, error) {
	m := e.manager
	m.mutex.Lock()
	defer m.mutex.Unlock()
	machine, err := m.caller(ctx)
	if err != nil {
		return nil, err
	}
	leaf, fingerprint, err := m.authority.machine(request.GetCsr(), machine.URI(), m.life)
	if err != nil || fingerprint != m.machines[machine] {
		return nil, refusal.New(refusal.RequestInvalid, "error", errors.Join(err, errors.New("another key")), "version", "test")
	}
	m.record("renew %s", machine)
	return &hawserv1.RenewResponse{CertificateChain: [][]byte{leaf}, TrustBundle: [][]byte{m.authority.certificate.Raw}}, nil
}

// caller authenticates a call like the real manager, expiry aside. The mutex is held.
func (m *Manager) caller(ctx context.Context) (identity.Machine, error) {
	if err := m.refused(); err != nil {
		return identity.Machine{}, err
	}
	from, _ := peer.FromContext(ctx)
	info, _ := from.AuthInfo.(credentials.TLSInfo)
	if len(info.State.PeerCertificates) == 0 {
		return identity.Machine{}, refusal.New(refusal.CertificateMissing)
	}
	leaf, roots := info.State.PeerCertificates[0], x509.NewCertPool()
	roots.AddCert(m.authority.certificate)
	// Tests have certificates of seconds, on machines that are seconds late: only the real manager knows an expired one.
	at := leaf.NotBefore
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: at}); err != nil {
		return identity.Machine{}, refusal.New(refusal.CertificateInvalid, "error", err)
	}
	machine, err := identity.MachineOf(leaf)
	if err != nil {
		return identity.Machine{}, refusal.New(refusal.CertificateInvalid, "error", err)
	}
	fingerprint, known := m.machines[machine]
	if !known {
		return machine, refusal.New(refusal.MachineUnknown, "machine", machine)
	}
	if fingerprint != identity.FingerprintOf(leaf) {
		return machine, refusal.New(refusal.KeyMismatch, "machine", machine)
	}
	return machine, nil
}

type machines struct {
	hawserv1.UnimplementedMachineServiceServer
	manager *Manager
}

// session is one stream; what is to be sent goes through down.
type session struct {
	machine identity.Machine
	down    chan *hawserv1.SyncResponse
	cut     chan error
}

func (s machines) Sync(stream grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]) error {
	m := s.manager
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	m.mutex.Lock()
	machine, err := m.caller(stream.Context())
	if err != nil {
		m.mutex.Unlock()
		return err
	}
	current := &session{machine: machine, down: make(chan *hawserv1.SyncResponse, 16), cut: make(chan error, 1)}
	m.sessions = append(m.sessions, current)
	m.record("hello %s generation=%q token=%d %s", machine, first.GetHello().GetGeneration(), first.GetHello().GetTokenExpiry(), line(first.GetHello().GetReport()))
	if m.state != nil && (m.state.GetGeneration() != first.GetHello().GetGeneration() || first.GetHello().GetTokenExpiry() == 0) {
		current.down <- &hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_State{State: m.state}}
	}
	m.mutex.Unlock()
	defer m.ended(current)
	reports := make(chan error, 1)
	go func() { reports <- m.reports(stream, machine) }()
	for {
		select {
		case err := <-reports:
			return err
		case err := <-current.cut:
			return err
		case response := <-current.down:
			if err := stream.Send(response); err != nil {
				return err
			}
		}
	}
}

func (m *Manager) ended(current *session) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.sessions = slices.DeleteFunc(m.sessions, func(s *session) bool { return s == current })
	m.record("bye %s", current.machine)
}

func (m *Manager) reports(stream grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse], machine identity.Machine) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m.mutex.Lock()
		m.record("report %s %s", machine, line(request.GetReport()))
		m.mutex.Unlock()
	}
}

// line prints a report for tests to look for.
func line(report *hawserv1.Report) string {
	text := fmt.Sprintf("applied=%q failed=%q slot=%q healthy=%v draining=%v address=%q", report.GetAppliedGeneration(), report.GetFailedGeneration(),
		report.GetProxy().GetSlot(), report.GetHealthy(), report.GetDraining(), report.GetAddress())
	for _, condition := range report.GetConditions() {
		text += fmt.Sprintf(" %s=%s/%s", condition.GetType(), condition.GetStatus(), condition.GetReason())
	}
	return text
}

func (s machines) ReadArtifact(request *hawserv1.ReadArtifactRequest, stream grpc.ServerStreamingServer[hawserv1.ReadArtifactResponse]) error {
	m := s.manager
	m.mutex.Lock()
	_, err := m.caller(stream.Context())
	content, known := m.artifacts[request.GetSha256()]
	m.record("read %s from %d", request.GetSha256(), request.GetOffset())
	m.mutex.Unlock()
	if err != nil {
		return err
	}
	if !known {
		return refusal.New(refusal.ArtifactUnknown, "sha256", request.GetSha256())
	}
	for piece := range slices.Chunk(content[request.GetOffset():], 256<<10) {
		if err := stream.Send(&hawserv1.ReadArtifactResponse{Data: piece}); err != nil {
			return err
		}
	}
	return nil
}

func (s machines) Leave(ctx context.Context, _ *hawserv1.LeaveRequest) (*hawserv1.LeaveResponse, error) {
	m := s.manager
	m.mutex.Lock()
	defer m.mutex.Unlock()
	machine, err := m.caller(ctx)
	if err != nil && !m.leaving[machine] {
		return nil, err
	}
	delete(m.machines, machine)
	delete(m.leaving, machine)
	m.record("leave %s", machine)
	return &hawserv1.LeaveResponse{}, nil
}
