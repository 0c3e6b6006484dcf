package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Key returns the machine's private key (ECDSA P-256), and makes it on the first call. It is on the disk before it is
// used, so that a join which was cut off comes back with the same key, for which the manager takes the same token again. A
// machine that has joined gets no other key: the manager would not know it by that.
func (s *Store) Key() (*ecdsa.PrivateKey, error) {
	kept, err := s.KeyKept()
	if err != nil {
		return nil, err
	}
	joined, err := s.joined()
	if err != nil {
		return nil, err
	}
	if !kept && !joined {
		return s.makeKey()
	}
	return s.keptKey()
}

func (s *Store) keptKey() (key *ecdsa.PrivateKey, err error) {
	err = s.load("key.pem", func(content []byte) (err error) {
		key, err = parseKey(content)
		return err
	})
	return key, err
}

func parseKey(content []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("it holds no PEM block")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it holds a %T, not an ECDSA key", key)
	}
	return own, nil
}

// KeyKept reports whether the machine's key was made.
func (s *Store) KeyKept() (bool, error) {
	_, err := s.read(first + "/key.pem")
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) makeKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the machine's key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the machine's key: %w", err)
	}
	if err := s.keep("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return nil, err
	}
	return key, nil
}

// SigningRequest returns a PKCS #10 request (DER) for key. Its subject is empty, as the manager names the machine.
func SigningRequest(key *ecdsa.PrivateKey) ([]byte, error) {
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate signing request: %w", err)
	}
	return request, nil
}
