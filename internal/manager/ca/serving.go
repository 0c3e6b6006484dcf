package ca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Serving is the TLS side of a manager: its certificate, made in memory and replaced at half of its life, and the check of machines'
// certificates. A machine may come without a certificate (to join) or with an expired one (to renew it); whether that is enough is
// decided for each call.
type Serving struct {
	authority *Authority
	mu        sync.Mutex
	current   *tls.Certificate
}

// NewServing makes the TLS side of a manager.
func NewServing(authority *Authority) *Serving { return &Serving{authority: authority} }

// Config is for a listener. Sessions are not resumed: each handshake is checked as the first one.
func (s *Serving) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.certificate(time.Now()) },
		ClientAuth:     tls.RequestClientCert,
		VerifyConnection: func(state tls.ConnectionState) error {
			return s.authority.verifyMachine(state.PeerCertificates, time.Now())
		},
		SessionTicketsDisabled: true,
		NextProtos:             []string{"h2"},
	}
}

func (s *Serving) certificate(now time.Time) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.Leaf.NotAfter.Sub(now) < servingLifetime/2 {
		next, err := s.authority.signServing(now)
		if err != nil {
			return nil, err
		}
		s.current = next
	}
	return s.current, nil
}

// verifyMachine checks that a certificate shown was signed by this authority for a client. One that has expired is checked as of its
// last moment.
func (a *Authority) verifyMachine(chain []*x509.Certificate, now time.Time) error {
	if len(chain) == 0 {
		return nil
	}
	leaf := chain[0]
	if leaf.IsCA {
		return errors.New("a CA's certificate was shown as a machine's")
	}
	if now.After(leaf.NotAfter) {
		now = leaf.NotAfter
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	options := x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(options); err != nil {
		return fmt.Errorf("verify a machine's certificate: %w", err)
	}
	return nil
}
