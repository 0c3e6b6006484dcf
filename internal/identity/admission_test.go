package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/identity"
)

func admitted() identity.Admission {
	return identity.Admission{Group: "ratings", Stamp: identity.Stamp{Book: "0123456789abcdef", Term: "fedcba9876543210", Place: 12, Number: 1_785_578_400_123}}
}

// shown is a certificate with this subject, as it comes back from the wire.
func shown(t *testing.T, subject pkix.Name) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestAdmissionIsReadAsItWasWritten(t *testing.T) {
	for _, want := range []identity.Admission{admitted(), {}} {
		certificate := shown(t, want.Subject(identity.Machine{Namespace: "shop", Name: "vm"}))
		if got := identity.AdmissionOf(certificate); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if certificate.Subject.CommonName != "vm" {
			t.Errorf("common name %q", certificate.Subject.CommonName)
		}
	}
	if got := admitted().Stamp.Time().UTC().Format("2006-01-02T15:04:05.000"); got != "2026-08-01T10:00:00.123" {
		t.Errorf("time %s", got)
	}
}

// X.520 allows 64 characters for each attribute: the longest group, and a stamp of many years and restarts.
func TestAdmissionFitsItsAttributes(t *testing.T) {
	longest := admitted()
	longest.Group, longest.Stamp.Place, longest.Stamp.Number = strings.Repeat("g", 63), 9_999_999, 9_999_999_999_999
	if text := longest.Stamp.String(); len(text) > 64 {
		t.Errorf("%s has %d characters", text, len(text))
	}
	if got := identity.AdmissionOf(shown(t, longest.Subject(identity.Machine{Namespace: "shop", Name: "vm"}))); got != longest {
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsNoAdmission(t *testing.T) {
	good := admitted().Stamp.String()
	for name, subject := range map[string]pkix.Name{
		"older-manager":  {CommonName: "vm"},
		"no-group":       {SerialNumber: good},
		"two-groups":     {SerialNumber: good, OrganizationalUnit: []string{"ratings", "reviews"}},
		"group-illegal":  {SerialNumber: good, OrganizationalUnit: []string{"Ratings"}},
		"group-empty":    {SerialNumber: good, OrganizationalUnit: []string{""}},
		"no-stamp":       {OrganizationalUnit: []string{"ratings"}},
		"stamp-cut":      {SerialNumber: good[:30], OrganizationalUnit: []string{"ratings"}},
		"upper-case":     {SerialNumber: strings.ToUpper(good), OrganizationalUnit: []string{"ratings"}},
		"number-padded":  {SerialNumber: strings.Replace(good, ".12.", ".012.", 1), OrganizationalUnit: []string{"ratings"}},
		"place-zero":     {SerialNumber: strings.Replace(good, ".12.", ".0.", 1), OrganizationalUnit: []string{"ratings"}},
		"number-signed":  {SerialNumber: strings.Replace(good, ".178", ".-178", 1), OrganizationalUnit: []string{"ratings"}},
		"something-else": {SerialNumber: "4C4C4544", OrganizationalUnit: []string{"ratings"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := identity.AdmissionOf(&x509.Certificate{Subject: subject}); got != (identity.Admission{}) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
