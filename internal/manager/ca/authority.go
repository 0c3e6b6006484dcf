package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/hawser-io/hawser/internal/identity"
)

// Lifetimes of the authority and of a manager's serving certificate; backdate goes before now, so that a machine whose clock is
// late gets as far as being told so.
const (
	authorityLifetime = 10 * 365 * 24 * time.Hour
	servingLifetime   = 30 * 24 * time.Hour
	backdate          = 48 * time.Hour
)

// machineBackdate allows for clocks of replicas that differ a little. Certificates of minutes have less of it: half of a certificate's
// life, when it is renewed, must come after it was made.
const machineBackdate = 5 * time.Minute

// Authority signs. It never changes and may be used from many goroutines.
type Authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// Generate makes a new authority: ECDSA P-256, ten years.
func Generate(now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of the CA: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: "Hawser CA", Organization: []string{"hawser.io"}},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(authorityLifetime),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certificate, err := create(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &Authority{key: key, certificate: certificate}, nil
}

// Parse reads an authority from PEM as Encode makes it.
func Parse(certificatePEM, keyPEM []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(certificatePEM, keyPEM)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	switch {
	case !ok:
		return nil, errors.New("its key is not ECDSA")
	case !pair.Leaf.IsCA:
		return nil, errors.New("its certificate is not a CA's")
	}
	return &Authority{key: key, certificate: pair.Leaf}, nil
}

// Encode returns certificate and key as PEM.
func (a *Authority) Encode() (certificatePEM, keyPEM []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the key of the CA: %w", err)
	}
	return a.CertificatePEM(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Certificate of the authority.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// CertificatePEM is public.
func (a *Authority) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// Pin of the authority, which join tokens carry.
func (a *Authority) Pin() identity.Pin { return identity.PinOf(a.certificate) }

// SignMachine makes a client certificate of the machine for the key. The admission is zero for a machine that came in under an older manager.
func (a *Authority) SignMachine(machine identity.Machine, admission identity.Admission, key crypto.PublicKey, now time.Time, lifetime time.Duration) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               admission.Subject(machine),
		URIs:                  []*url.URL{machine.URI()},
		NotBefore:             now.Add(-min(machineBackdate, lifetime/10)),
		NotAfter:              now.Add(lifetime),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return create(template, a.certificate, key, a.key)
}

// signServing makes a serving certificate with a key of its own; the chain has the CA in it, as a machine that joins knows only its pin.
func (a *Authority) signServing(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of the serving certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: identity.ManagerServerName},
		DNSNames:              []string{identity.ManagerServerName},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(servingLifetime),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	leaf, err := create(template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.certificate.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

func create(template, parent *x509.Certificate, key crypto.PublicKey, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate for %s: %w", template.Subject.CommonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate just signed for %s: %w", template.Subject.CommonName, err)
	}
	return certificate, nil
}

// serial is random: 128 bits, positive (RFC 5280, 4.1.2.2). crypto/rand does not fail.
func serial() *big.Int {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	raw[0] &= 0x7f
	return new(big.Int).SetBytes(raw[:])
}
