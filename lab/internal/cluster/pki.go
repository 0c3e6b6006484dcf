package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"

	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// validity is longer than any lab lives.
const validity = 10 * 365 * 24 * time.Hour

// identity is one certificate that the cluster's CA signs; groups are Kubernetes groups (RFC 5280 organizations).
type identity struct {
	name      string
	user      string
	groups    []string
	dnsNames  []string
	addresses []net.IP
}

func (c Config) identities() []identity {
	node := net.IP(c.NodeAddress.AsSlice())
	return []identity{
		{
			name: "apiserver", user: "kube-apiserver",
			dnsNames:  []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + Domain, "localhost"},
			addresses: []net.IP{node, net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
		},
		{name: "apiserver-kubelet-client", user: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		{name: "admin", user: "hawser-lab-admin", groups: []string{"system:masters"}},
		{name: "kube-controller-manager", user: "system:kube-controller-manager"},
		{name: "kube-scheduler", user: "system:kube-scheduler"},
		{name: "kube-proxy", user: "system:kube-proxy"},
		{
			name: "kubelet", user: "system:node:" + NodeName, groups: []string{"system:nodes"},
			dnsNames: []string{NodeName}, addresses: []net.IP{node},
		},
	}
}

// ensurePKI makes the CA, the certificates and the key that signs service account tokens, each if it is not there.
func (c Config) ensurePKI() error {
	if err := os.MkdirAll(c.path("pki"), 0o700); err != nil {
		return fmt.Errorf("make the certificate directory: %w", err)
	}
	if err := ensureKey(c.pki("service-account.key")); err != nil {
		return err
	}
	if err := c.ensureCA(); err != nil {
		return err
	}
	authority, key, err := loadPair(c.pki("ca"))
	if err != nil {
		return err
	}
	for _, identity := range c.identities() {
		if err := c.ensureCertificate(identity, authority, key); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) ensureCA() error {
	if present(c.pki("ca.crt")) {
		return nil
	}
	if err := ensureKey(c.pki("ca.key")); err != nil {
		return err
	}
	key, err := loadKey(c.pki("ca.key"))
	if err != nil {
		return err
	}
	authority, err := cert.NewSelfSignedCACert(cert.Config{CommonName: "hawser-lab"}, key)
	if err != nil {
		return fmt.Errorf("make the cluster's CA: %w", err)
	}
	return cert.WriteCert(c.pki("ca.crt"), certificatePEM(authority.Raw))
}

func (c Config) ensureCertificate(identity identity, authority *x509.Certificate, signer *ecdsa.PrivateKey) error {
	file := c.pki(identity.name)
	if present(file + ".crt") {
		return nil
	}
	if err := ensureKey(file + ".key"); err != nil {
		return err
	}
	key, err := loadKey(file + ".key")
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: identity.user, Organization: identity.groups},
		DNSNames:     identity.dnsNames,
		IPAddresses:  identity.addresses,
		NotBefore:    authority.NotBefore,
		NotAfter:     time.Now().Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("sign the certificate of %s: %w", identity.user, err)
	}
	return cert.WriteCert(file+".crt", certificatePEM(raw))
}

func ensureKey(path string) error {
	if present(path) {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	content, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return err
	}
	return keyutil.WriteKey(path, content)
}

func loadPair(base string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certificates, err := cert.CertsFromFile(base + ".crt")
	if err != nil {
		return nil, nil, fmt.Errorf("read %s.crt: %w", base, err)
	}
	key, err := loadKey(base + ".key")
	return certificates[0], key, err
}

func loadKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := keyutil.PrivateKeyFromFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is a %T, not an ECDSA key; remove the state with `hawser-lab down --purge`", path, key)
	}
	return own, nil
}

// present says whether a file exists and has content; a crash can leave an empty one.
func present(path string) bool {
	info, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist) && err == nil && info.Size() > 0
}
