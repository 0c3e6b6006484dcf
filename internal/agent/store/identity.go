package store

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
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
	// Obtained is when the certificate was stored, by this host's clock; zero if its file is gone. It is younger than NotBefore says, as certificates are
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
func (s *Store) Enrollment() (enrollment Enrollment, err error) {
	if joined, err := s.joined(); err != nil {
		return enrollment, err
	} else if !joined {
		return enrollment, ErrNone
	}
	err = s.load(enrollmentFile, func(content []byte) (err error) {
		enrollment, err = parseEnrollment(content)
		return err
	})
	return enrollment, err
}

// joined reports whether there is an enrollment, be it damaged. Its copy alone does not count: leaving removes the file first.
func (s *Store) joined() (bool, error) {
	_, err := s.read(first + "/" + enrollmentFile)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return false, err
	}
	return true, nil
}

func parseEnrollment(content []byte) (enrollment Enrollment, err error) {
	if err := json.Unmarshal(content, &enrollment); err != nil {
		return Enrollment{}, err
	}
	if enrollment.Namespace == "" || enrollment.Name == "" {
		return Enrollment{}, errors.New("it names no machine")
	}
	return enrollment, nil
}

// Identity returns all of the machine's identity, ErrNone if it has not joined, *Damaged if a part of it is lost.
func (s *Store) Identity() (*Identity, error) {
	enrollment, err := s.Enrollment()
	if err != nil {
		return nil, err
	}
	identity := &Identity{Enrollment: enrollment, Obtained: s.written("cert.pem")}
	if identity.Key, err = s.keptKey(); err != nil {
		return nil, err
	}
	if err := s.load("ca.pem", func(content []byte) (err error) {
		identity.Trust, err = parseCertificates(content)
		return err
	}); err != nil {
		return nil, err
	}
	if err := s.load("cert.pem", func(content []byte) (err error) {
		identity.Chain, err = chainOf(identity.Key, content)
		return err
	}); err != nil {
		return nil, err
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
	if err := s.keep("ca.pem", encode(trust)); err != nil {
		return err
	}
	return s.keep("cert.pem", encode(chain))
}

// KeepEnrollment stores what the machine joined to: from here on it has joined.
func (s *Store) KeepEnrollment(enrollment Enrollment) error {
	content, err := json.MarshalIndent(enrollment, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the enrollment: %w", err)
	}
	return s.keep(enrollmentFile, append(content, '\n'))
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

// chainOf reads a certificate chain, which has to be of the key.
func chainOf(key *ecdsa.PrivateKey, content []byte) ([]*x509.Certificate, error) {
	chain, err := parseCertificates(content)
	if err == nil && !key.PublicKey.Equal(chain[0].PublicKey) {
		return nil, errors.New("it is of another key than the machine's")
	}
	return chain, err
}

func parseCertificates(rest []byte) ([]*x509.Certificate, error) {
	var found []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, errors.New("it holds no certificate")
	}
	return found, nil
}
