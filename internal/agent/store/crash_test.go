package store

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/atomicfile/crashtest"
)

var enrollment = Enrollment{Manager: "gw.example:15012", TokenID: "shop.k3j", Namespace: "shop", Name: "vm-1", Group: "ratings", UID: "u1"}

// crashing returns a store that calls before at each change.
func crashing(directory string, before func(string)) *Store {
	return NewWith(directory, atomicfile.Writer{Before: before})
}

func join(s *Store) error {
	if err := s.Prepare(); err != nil {
		return err
	}
	key, err := s.Key()
	if err != nil {
		return err
	}
	chain, trust := certify(key, 1)
	if err := s.KeepCertificates(chain, trust); err != nil {
		return err
	}
	if err := s.KeepEnrollment(enrollment); err != nil {
		return err
	}
	return s.KeepDesired(&hawserv1.DesiredState{Generation: "g1", Token: &hawserv1.IstioToken{Token: "secret"}})
}

func TestJoinCutOffAnywhereIsFinishedByRepeatingIt(t *testing.T) {
	for n := 0; ; n++ {
		directory := t.TempDir()
		step, err := crashtest.At(n, func(before func(string)) error { return join(crashing(directory, before)) })
		if err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(filepath.Join(directory, "identity/key.pem"))

		again := New(directory)
		if _, err := again.Identity(); err != nil && !errors.Is(err, ErrNone) {
			t.Errorf("crash before %q: half an identity: %v", step, err)
		}
		if err := join(again); err != nil {
			t.Errorf("crash before %q: joining again: %v", step, err)
		}
		after, err := os.ReadFile(filepath.Join(directory, "identity/key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if len(before) > 0 && string(before) != string(after) {
			t.Errorf("crash before %q: joining again made another key, for which the token is used up", step)
		}
		identity, err := again.Identity()
		if err != nil || identity.Enrollment != enrollment {
			t.Errorf("crash before %q: identity %v, %v", step, identity, err)
		}
		if left := leftovers(t, directory); len(left) > 0 {
			t.Errorf("crash before %q: left behind: %v", step, left)
		}
		if step == "" {
			if n < 25 {
				t.Errorf("only %d steps were crashed", n)
			}
			return
		}
	}
}

func TestRenewalCutOffAnywhereLeavesAnIdentity(t *testing.T) {
	for n := 0; ; n++ {
		directory := t.TempDir()
		if err := join(New(directory)); err != nil {
			t.Fatal(err)
		}
		step, err := crashtest.At(n, func(before func(string)) error {
			s := crashing(directory, before)
			key, err := s.Key()
			if err != nil {
				return err
			}
			chain, trust := certify(key, 2)
			return s.KeepCertificates(chain, trust)
		})
		if err != nil {
			t.Fatal(err)
		}
		identity, err := New(directory).Identity()
		if err != nil {
			t.Fatalf("crash before %q: %v", step, err)
		}
		if step == "" {
			if serial := identity.Leaf().SerialNumber.Int64(); serial != 2 {
				t.Errorf("serial %d after a renewal, want 2", serial)
			}
			return
		}
	}
}

func TestForgetCutOffAnywhereIsFinishedByRepeatingIt(t *testing.T) {
	for n := 0; ; n++ {
		directory := filepath.Join(t.TempDir(), "hawser")
		if err := join(New(directory)); err != nil {
			t.Fatal(err)
		}
		// A write that was cut off before must not keep the directory.
		if err := os.WriteFile(filepath.Join(directory, "state/.hawser-new-desired.pb-7"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		step, err := crashtest.At(n, func(before func(string)) error { return crashing(directory, before).Forget() })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(directory).Identity(); err != nil && !errors.Is(err, ErrNone) {
			t.Errorf("crash before %q: half an identity: %v", step, err)
		}
		for range 2 {
			if err := New(directory).Forget(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("crash before %q: %s is still there: %v", step, directory, err)
			}
		}
		if step == "" {
			return
		}
	}
}

func TestForgetLeavesWhatBelongsToOthers(t *testing.T) {
	s := New(filepath.Join(t.TempDir(), "hawser"))
	if err := join(s); err != nil {
		t.Fatal(err)
	}
	ledger := filepath.Join(s.Directory(), "state/ledger.json")
	if err := os.WriteFile(ledger, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Forget(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ledger); err != nil {
		t.Errorf("Forget took the ledger along: %v", err)
	}
}

func leftovers(t *testing.T, directory string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(directory, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), ".hawser-new-") {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// certify signs key with itself, which is all that the store looks at.
func certify(key *ecdsa.PrivateKey, serial int64) (chain, trust [][]byte) {
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return [][]byte{der}, [][]byte{der}
}
