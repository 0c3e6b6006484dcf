package store

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Enrollment is what a join settled, except for keys and certificates. It is stored last: a machine has joined when it
// is there.
type Enrollment struct {
	// Manager is HOST:PORT as given to join.
	Manager string `json:"manager"`
	// TokenID names the join token without its secret, so that a repeated join is told from a second one.
	TokenID   string    `json:"tokenID"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	Group     string    `json:"group"`
	UID       string    `json:"uid"`
	Joined    time.Time `json:"joined"`
	// Completed is when join saw the machine ready; zero while a join has still to be finished.
	Completed time.Time `json:"completed,omitzero"`
	// Removed is why the manager has removed the machine; the host is then to be put back, and nothing else.
	Removed string `json:"removed,omitempty"`
}

// Ref is the machine's name on the wire.
func (e Enrollment) Ref() *hawserv1.MachineRef {
	return &hawserv1.MachineRef{Namespace: e.Namespace, Name: e.Name, Group: e.Group, Uid: e.UID}
}

// Identity is what the agent proves itself with.
type Identity struct {
	Enrollment Enrollment
	Key        *ecdsa.PrivateKey
	// Chain is the client certificate, leaf first.
	Chain []*x509.Certificate
	// Obtained is when the certificate was stored, by this host's clock. It is younger than NotBefore says, as certificates are
	// dated back.
	Obtained time.Time
	// Trust are the manager's certificate authorities.
	Trust []*x509.Certificate
}

// TLS returns the identity as a client certificate.
func (i *Identity) TLS() tls.Certificate {
	certificate := tls.Certificate{PrivateKey: i.Key, Leaf: i.Chain[0]}
	for _, c := range i.Chain {
		certificate.Certificate = append(certificate.Certificate, c.Raw)
	}
	return certificate
}

// Leaf is the machine's own certificate.
func (i *Identity) Leaf() *x509.Certificate { return i.Chain[0] }

// Enrollment returns what the machine joined to, ErrNone if it has not.
func (s *Store) Enrollment() (Enrollment, error) {
	var enrollment Enrollment
	content, err := s.read("identity/agent.json")
	if err != nil {
		return enrollment, err
	}
	if err := json.Unmarshal(content, &enrollment); err != nil {
		return enrollment, fmt.Errorf("read %s: %w: run `hawser-agent leave --force` and join again", s.path("identity/agent.json"), err)
	}
	return enrollment, nil
}

// Identity returns all of the machine's identity, ErrNone if it has not joined.
func (s *Store) Identity() (*Identity, error) {
	enrollment, err := s.Enrollment()
	if err != nil {
		return nil, err
	}
	identity := &Identity{Enrollment: enrollment}
	if identity.Key, err = s.Key(); err != nil {
		return nil, err
	}
	if identity.Chain, err = s.certificates("identity/cert.pem"); err != nil {
		return nil, err
	}
	if identity.Obtained, err = s.written("identity/cert.pem"); err != nil {
		return nil, err
	}
	if identity.Trust, err = s.certificates("identity/ca.pem"); err != nil {
		return nil, err
	}
	if !identity.Key.PublicKey.Equal(identity.Leaf().PublicKey) {
		return nil, fmt.Errorf("key and certificate in %s do not belong together: run `hawser-agent leave --force` and join again", s.path("identity"))
	}
	return identity, nil
}

// KeepCertificates stores a chain (leaf first) for the machine's key and the authorities that came with it, all DER. The
// authorities are stored first: they may be more than before, and the new chain needs them.
func (s *Store) KeepCertificates(chain, trust [][]byte) error {
	key, err := s.Key()
	if err != nil {
		return err
	}
	if err := belongs(key, chain, trust); err != nil {
		return err
	}
	if err := s.write("identity/ca.pem", encode(trust)); err != nil {
		return err
	}
	return s.write("identity/cert.pem", encode(chain))
}

// KeepEnrollment stores what the machine joined to: from here on it has joined.
func (s *Store) KeepEnrollment(enrollment Enrollment) error {
	content, err := json.MarshalIndent(enrollment, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the enrollment: %w", err)
	}
	return s.write("identity/agent.json", append(content, '\n'))
}

func belongs(key *ecdsa.PrivateKey, chain, trust [][]byte) error {
	if len(chain) == 0 || len(trust) == 0 {
		return errors.New("the manager sent an incomplete certificate")
	}
	for _, der := range append(append([][]byte{}, chain...), trust...) {
		if _, err := x509.ParseCertificate(der); err != nil {
			return fmt.Errorf("the manager sent a certificate that cannot be read: %w", err)
		}
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return fmt.Errorf("the manager sent a certificate that cannot be read: %w", err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return errors.New("the manager sent a certificate for another key")
	}
	return nil
}

func encode(certificates [][]byte) []byte {
	var content []byte
	for _, der := range certificates {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return content
}

func (s *Store) certificates(name string) ([]*x509.Certificate, error) {
	rest, err := s.read(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w: run `hawser-agent leave --force` and join again", s.path(name), err)
	}
	var found []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w: run `hawser-agent leave --force` and join again", s.path(name), err)
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s holds no certificate: run `hawser-agent leave --force` and join again", s.path(name))
	}
	return found, nil
}
