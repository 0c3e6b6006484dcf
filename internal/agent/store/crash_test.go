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
)

// crash is what a test throws in place of a power cut.
type crash struct{ step string }

// crashing returns a store that crashes before step number n, counted from zero, and tells whether it did.
func crashing(directory string, n int) (*Store, func(work func() error) (string, error)) {
	s := New(directory)
	s.step = func(step string) {
		if n == 0 {
			panic(crash{step})
		}
		n--
	}
	return s, func(work func() error) (crashed string, err error) {
		defer func() {
			switch r := recover().(type) {
			case nil:
			case crash:
				crashed = r.step
			default:
				panic(r)
			}
		}()
		return "", work()
	}
}

var enrollment = Enrollment{Manager: "gw.example:15012", TokenID: "shop.k3j", Namespace: "shop", Name: "vm-1", Group: "ratings", UID: "u1"}

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
		s, run := crashing(directory, n)
		step, err := run(func() error { return join(s) })
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
			if n < 15 {
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
		s, run := crashing(directory, n)
		step, err := run(func() error {
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

func TestForgetCutOffAnywhereHasNotJoined(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "hawser")
	s := New(directory)
	if err := join(s); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Forget(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", directory, err)
		}
		if _, err := s.Identity(); !errors.Is(err, ErrNone) {
			t.Errorf("identity after Forget: %v", err)
		}
	}
}

func leftovers(t *testing.T, directory string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(directory, func(path string, _ os.DirEntry, err error) error {
		if strings.HasPrefix(filepath.Base(path), temporaryPrefix) {
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
