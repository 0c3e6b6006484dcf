package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestMachineURI(t *testing.T) {
	m := Machine{Namespace: "shop", Name: "ratings-vm-1.example.org"}
	const want = "spiffe://hawser/ns/shop/machine/ratings-vm-1.example.org"
	if got := m.URI().String(); got != want {
		t.Errorf("URI = %s, want %s", got, want)
	}
	if back, err := ParseMachineURI(m.URI()); err != nil || back != m {
		t.Errorf("ParseMachineURI = %v, %v; want %v", back, err, m)
	}
}

func TestParseMachineURIRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"mesh":      "spiffe://cluster.local/ns/shop/sa/ratings",
		"kind":      "spiffe://hawser/ns/shop/sa/ratings",
		"upper":     "spiffe://hawser/ns/shop/machine/VM",
		"longer":    "spiffe://hawser/ns/shop/machine/vm/x",
		"empty":     "spiffe://hawser/ns//machine/vm",
		"query":     "spiffe://hawser/ns/shop/machine/vm?x=1",
		"fragment":  "spiffe://hawser/ns/shop/machine/vm#x",
		"user":      "spiffe://a@hawser/ns/shop/machine/vm",
		"port":      "spiffe://hawser:1/ns/shop/machine/vm",
		"scheme":    "https://hawser/ns/shop/machine/vm",
		"traversal": "spiffe://hawser/ns/shop/machine/..",
		"escaped":   "spiffe://hawser/ns/shop/machine/v%6d",
	} {
		t.Run(name, func(t *testing.T) {
			uri, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := ParseMachineURI(uri); err == nil {
				t.Errorf("%s was taken for %v", text, m)
			}
		})
	}
}

func TestMachineName(t *testing.T) {
	for name, c := range map[string]struct {
		hostname, want string
		err            error
	}{
		"plain":      {"ratings-vm-1", "ratings-vm-1", nil},
		"upper":      {"DB-1.Example.ORG", "db-1.example.org", nil},
		"digits":     {"1", "1", nil},
		"empty":      {"", "", ErrNameEmpty},
		"none":       {"(none)", "", ErrNameEmpty},
		"localhost":  {"localhost", "", ErrNameLocalhost},
		"loopback":   {"localhost.localdomain", "", ErrNameLocalhost},
		"underscore": {"my_host", "", ErrNameCharacter},
		"space":      {"my host", "", ErrNameCharacter},
		"dash":       {"-host", "", ErrNameCharacter},
		"dashed":     {"host-", "", ErrNameCharacter},
		"dots":       {"a..b", "", ErrNameCharacter},
		"trailing":   {"a.b.", "", ErrNameCharacter},
		"umlaut":     {"größe", "", ErrNameCharacter},
		"newline":    {"a\nb", "", ErrNameCharacter},
		"kelvin":     {"\u212Aelvin", "kelvin", nil},
		"longest":    {strings.Repeat("a", 63), strings.Repeat("a", 63), nil},
		"long":       {strings.Repeat("a", 64), "", ErrNameTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := MachineName(c.hostname)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("MachineName(%q) = %q, %v; want %q, %v", c.hostname, got, err, c.want, c.err)
			}
		})
	}
}

func TestFingerprintIsOfTheKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	print, err := Fingerprint(&key.PublicKey)
	if err != nil || len(print) != 64 || strings.ToLower(print) != print {
		t.Fatalf("Fingerprint = %q, %v", print, err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got := FingerprintOf(&x509.Certificate{RawSubjectPublicKeyInfo: der}); got != print {
		t.Errorf("FingerprintOf = %s, want %s", got, print)
	}
	if _, err := Fingerprint("not a key"); err == nil {
		t.Error("a string was taken for a key")
	}
}
