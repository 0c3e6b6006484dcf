package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
)

// ManagerServerName is the name that machines ask for (SNI), which gateways route by, and the DNS name in the certificate of every
// manager. It is the same in all clusters: what tells one manager from another is the CA.
const ManagerServerName = "manager.hawser.internal"

// Pin is the SHA-256 of a CA certificate's DER SubjectPublicKeyInfo. Its text is base64url without padding, 43 characters.
type Pin [sha256.Size]byte

// PinOf returns the pin of a CA.
func PinOf(ca *x509.Certificate) Pin { return sha256.Sum256(ca.RawSubjectPublicKeyInfo) }

func (p Pin) String() string { return base64.RawURLEncoding.EncodeToString(p[:]) }

// ParsePin is the inverse of Pin.String.
func ParsePin(text string) (Pin, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != sha256.Size {
		return Pin{}, fmt.Errorf("%q is not the pin of a CA: want 43 characters of base64url", text)
	}
	return Pin(raw), nil
}

// ErrPin says that the other end is not the manager that the pin is of.
var ErrPin = errors.New("the certificate shown is not of the manager that the pin names")

// PinnedTLS is for the first contact with a manager, when nothing but the pin is known: the server has to show a chain that leads to
// the CA with that pin. Clock is the caller's; a wrong clock that is off by less than a day does not matter, as the manager's
// certificates are dated back.
func PinnedTLS(pin Pin) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: ManagerServerName,
		// The standard verification wants known roots; VerifyConnection does all of it with the pinned one.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return verifyPinned(pin, state.PeerCertificates) },
	}
}

func verifyPinned(pin Pin, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return ErrPin
	}
	roots, intermediates, found := x509.NewCertPool(), x509.NewCertPool(), false
	for _, c := range chain[1:] {
		if PinOf(c) == pin {
			roots.AddCert(c)
			found = true
		} else {
			intermediates.AddCert(c)
		}
	}
	if !found {
		return ErrPin
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{DNSName: ManagerServerName, Roots: roots, Intermediates: intermediates}); err != nil {
		return fmt.Errorf("verify the manager's certificate: %w", err)
	}
	return nil
}
