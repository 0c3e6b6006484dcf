package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/identity"
)

func now() time.Time { return time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC) }

func generate(t *testing.T) *Authority {
	t.Helper()
	a, err := Generate(now())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestEncodeAndParse(t *testing.T) {
	a := generate(t)
	certificate, key, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(certificate, key)
	if err != nil || back.Pin() != a.Pin() || !back.key.Equal(a.key) {
		t.Errorf("Parse = %v, %v", back, err)
	}
	if years := a.Certificate().NotAfter.Sub(now()).Hours() / 24 / 365; years != 10 {
		t.Errorf("the CA lives %v years", years)
	}
}

func TestParseRefuses(t *testing.T) {
	a, other := generate(t), generate(t)
	certificate, key, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := other.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2][]byte{
		"nothing":   {nil, nil},
		"no-key":    {certificate, nil},
		"other-key": {certificate, otherKey},
		"swapped":   {key, certificate},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(pair[0], pair[1]); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestSignMachine(t *testing.T) {
	a, key := generate(t), newKey(t)
	machine := identity.Machine{Namespace: "shop", Name: "vm-1"}
	admission := identity.Admission{Group: "ratings", Stamp: identity.Stamp{Book: "0123456789abcdef", Term: "fedcba9876543210", Place: 1, Number: 1}}
	certificate, err := a.SignMachine(machine, admission, &key.PublicKey, now(), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if got := identity.AdmissionOf(certificate); got != admission {
		t.Errorf("AdmissionOf = %+v", got)
	}
	if got, err := identity.MachineOf(certificate); err != nil || got != machine {
		t.Errorf("MachineOf = %v, %v", got, err)
	}
	if !certificate.NotAfter.Equal(now().Add(24 * time.Hour)) {
		t.Errorf("NotAfter %v", certificate.NotAfter)
	}
	for life, backdate := range map[time.Duration]time.Duration{24 * time.Hour: 5 * time.Minute, time.Minute: 6 * time.Second} {
		certificate, err := a.SignMachine(machine, identity.Admission{}, &key.PublicKey, now(), life)
		if err != nil || !certificate.NotBefore.Equal(now().Add(-backdate)) {
			t.Errorf("one of %s is valid from %v, want %s before now (%v)", life, certificate.NotBefore, backdate, err)
		}
	}
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		at    time.Time
		want  string
	}{
		"valid":       {[]*x509.Certificate{certificate}, now(), ""},
		"nothing":     {nil, now(), ""},
		"expired":     {[]*x509.Certificate{certificate}, now().Add(1000 * time.Hour), ""},
		"not-yet":     {[]*x509.Certificate{certificate}, now().Add(-time.Hour), "not yet valid"},
		"other-CA":    {[]*x509.Certificate{signed(t, generate(t))}, now(), "unknown authority"},
		"the-CA":      {[]*x509.Certificate{a.Certificate()}, now(), "a CA's certificate"},
		"serving":     {[]*x509.Certificate{serving(t, a)}, now(), "key usage"},
		"self-signed": {[]*x509.Certificate{generate(t).Certificate()}, now(), "a CA's certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			err := a.verifyMachine(c.chain, c.at)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("verifyMachine: %v, want %q", err, c.want)
			}
		})
	}
}

func TestServingCertificateIsReplacedAtHalfItsLife(t *testing.T) {
	s := NewServing(generate(t))
	first := mustServe(t, s, now())
	if again := mustServe(t, s, now().Add(14*24*time.Hour)); again != first {
		t.Error("replaced too early")
	}
	second := mustServe(t, s, now().Add(16*24*time.Hour))
	if second == first || second.DNSNames[0] != identity.ManagerServerName {
		t.Error("not replaced at half of its life")
	}
	if early := now().Add(-47 * time.Hour); first.NotBefore.After(early) {
		t.Errorf("a machine whose clock is two days late could not talk to the manager: valid from %v", first.NotBefore)
	}
}

func TestRequestKey(t *testing.T) {
	key := newKey(t)
	good, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "admin"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	if public, print, err := RequestKey(good); err != nil || !key.PublicKey.Equal(public) || len(print) != 64 {
		t.Errorf("RequestKey = %v, %q, %v", public, print, err)
	}
	tampered := append([]byte{}, good...)
	tampered[len(tampered)-1] ^= 1
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		der  []byte
		want string
	}{
		"empty":    {nil, "missing"},
		"huge":     {make([]byte, maxRequest+1), "too large"},
		"garbage":  {[]byte("garbage"), "cannot be read"},
		"tampered": {tampered, "not signed by its own key"},
		"RSA":      {weak, "not ECDSA P-256"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := RequestKey(c.der); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func signed(t *testing.T, a *Authority) *x509.Certificate {
	t.Helper()
	certificate, err := a.SignMachine(identity.Machine{Namespace: "shop", Name: "vm-1"}, identity.Admission{}, &newKey(t).PublicKey, now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func serving(t *testing.T, a *Authority) *x509.Certificate { return mustServe(t, NewServing(a), now()) }

func mustServe(t *testing.T, s *Serving, at time.Time) *x509.Certificate {
	t.Helper()
	pair, err := s.certificate(at)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}
