package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestPinText(t *testing.T) {
	ca := newAuthority(t)
	pin := PinOf(ca.certificate)
	if back, err := ParsePin(pin.String()); err != nil || back != pin {
		t.Errorf("ParsePin(%q) = %v, %v", pin, back, err)
	}
	for _, text := range []string{"", "abc", pin.String() + "A", pin.String()[1:], "+" + pin.String()[1:], pin.String() + "="} {
		if _, err := ParsePin(text); err == nil {
			t.Errorf("%q was taken for a pin", text)
		}
	}
}

func TestVerifyPinned(t *testing.T) {
	right, other := newAuthority(t), newAuthority(t)
	good := right.sign(t, ManagerServerName, time.Hour)
	for name, c := range map[string]struct {
		chain []*x509.Certificate
		want  string
	}{
		"right":           {[]*x509.Certificate{good, right.certificate}, ""},
		"nothing":         {nil, ErrPin.Error()},
		"without the CA":  {[]*x509.Certificate{good}, ErrPin.Error()},
		"other CA":        {[]*x509.Certificate{other.sign(t, ManagerServerName, time.Hour), other.certificate}, ErrPin.Error()},
		"CA only shown":   {[]*x509.Certificate{other.sign(t, ManagerServerName, time.Hour), right.certificate}, "unknown authority"},
		"other name":      {[]*x509.Certificate{right.sign(t, "istiod.istio-system.svc", time.Hour), right.certificate}, "not istiod"},
		"expired":         {[]*x509.Certificate{right.sign(t, ManagerServerName, -time.Hour), right.certificate}, "expired"},
		"the CA as leaf":  {[]*x509.Certificate{right.certificate, right.certificate}, "verify the manager's certificate"},
		"with an unknown": {[]*x509.Certificate{good, other.certificate, right.certificate}, ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			err := verifyPinned(PinOf(right.certificate), c.chain)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && err == nil:
				t.Error("accepted")
			case c.want == ErrPin.Error() && !errors.Is(err, ErrPin):
				t.Errorf("error %v, want ErrPin", err)
			case c.want != "" && !strings.Contains(err.Error(), strings.TrimPrefix(c.want, "not istiod")):
				t.Errorf("error %q does not say %q", err, c.want)
			}
		})
	}
}

type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{key, create(t, template, template, key, key)}
}

func (a authority) sign(t *testing.T, name string, life time.Duration) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	return create(t, template, a.certificate, a.key, a.key)
}

func create(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
