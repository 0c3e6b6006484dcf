package identity

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// trustDomain is of machine identities only; it is not the mesh's, so that a machine's certificate means nothing to a proxy.
const trustDomain = "hawser"

// Machine names a machine. Its String is "namespace/name".
type Machine struct {
	Namespace string
	// Name is the hostname, see MachineName.
	Name string
}

func (m Machine) String() string { return m.Namespace + "/" + m.Name }

// URI returns spiffe://hawser/ns/<namespace>/machine/<name>.
func (m Machine) URI() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: trustDomain, Path: "/ns/" + m.Namespace + "/machine/" + m.Name}
}

// ParseMachineURI is the inverse of Machine.URI. It accepts the canonical form alone.
func ParseMachineURI(uri *url.URL) (Machine, error) {
	parts := strings.Split(uri.Path, "/")
	if len(parts) == 5 {
		m := Machine{Namespace: parts[2], Name: parts[4]}
		if label(m.Namespace) && subdomain(m.Name) && m.URI().String() == uri.String() {
			return m, nil
		}
	}
	return Machine{}, fmt.Errorf("%q is not the identity of a machine (%s)", uri.Redacted(), Machine{Namespace: "NAMESPACE", Name: "NAME"}.URI())
}

// MachineOf returns the machine that a client certificate is for: its one URI name.
func MachineOf(certificate *x509.Certificate) (Machine, error) {
	if len(certificate.URIs) != 1 {
		return Machine{}, fmt.Errorf("the certificate has %d URI names, not the one of a machine", len(certificate.URIs))
	}
	return ParseMachineURI(certificate.URIs[0])
}

// Fingerprint returns the lower-case hex SHA-256 of the key's DER SubjectPublicKeyInfo, 64 characters.
func Fingerprint(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", fmt.Errorf("encode the public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// FingerprintOf is the fingerprint of the certificate's key.
func FingerprintOf(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// Errors of MachineName, each naming what is wrong with a hostname.
var (
	ErrNameEmpty     = errors.New("it is empty")
	ErrNameLocalhost = errors.New("it is the same on every host")
	ErrNameTooLong   = errors.New("it has more than 63 characters")
	ErrNameCharacter = errors.New("it may hold only letters, digits, '-' and '.', and each part between dots begins and ends with a letter or digit")
)

// MachineName returns the name of the machine on a host: the host's name (uname nodename) in lower case. It may be qualified
// ("db-1.example.org"). The bound of 63 is that of a Kubernetes label value, as the name is used as one.
func MachineName(hostname string) (string, error) {
	name := strings.ToLower(hostname)
	switch {
	case name == "" || name == "(none)":
		return "", ErrNameEmpty
	case name == "localhost" || strings.HasPrefix(name, "localhost."):
		return "", ErrNameLocalhost
	case len(name) > 63:
		return "", ErrNameTooLong
	case !subdomain(name):
		return "", ErrNameCharacter
	}
	return name, nil
}

// subdomain and label are the DNS-1123 forms that Kubernetes uses, lower case.
func subdomain(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if !label(part) {
			return false
		}
	}
	return len(name) <= 253
}

func label(name string) bool {
	if name == "" || len(name) > 63 || name[0] == '-' || name[len(name)-1] == '-' {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
