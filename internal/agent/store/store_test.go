package store

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

func TestDesiredIsKeptWithoutItsToken(t *testing.T) {
	s := New(t.TempDir())
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	state := &hawserv1.DesiredState{Generation: "g1", Revision: "default", Token: &hawserv1.IstioToken{Token: "eyJ.secret"}}
	if err := s.KeepDesired(state); err != nil {
		t.Fatal(err)
	}
	if state.GetToken().GetToken() == "" {
		t.Error("KeepDesired changed the caller's state")
	}
	content, err := os.ReadFile(filepath.Join(s.Directory(), "state/desired.pb"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), "secret") {
		t.Error("the Istio token is on the disk")
	}
	got, err := s.Desired()
	if err != nil {
		t.Fatal(err)
	}
	state.Token = nil
	if !proto.Equal(got, state) {
		t.Errorf("got %v, want %v", got, state)
	}
}

func TestEverythingIsReadableByRootAlone(t *testing.T) {
	// The agent's unit has this umask: the proxy's user must be able to pass through the outer directory all the same.
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	s := New(filepath.Join(t.TempDir(), "hawser"))
	if err := join(s); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(s.Directory(), func(path string, info os.FileInfo, err error) error {
		allowed := os.FileMode(0o700)
		if path == s.Directory() {
			allowed = 0o711
			if info.Mode().Perm() != allowed {
				t.Errorf("%s has mode %v, want %v", path, info.Mode(), allowed)
			}
		}
		if err == nil && info.Mode().Perm()&^allowed != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCertificateOfAnotherKeyIsRefused(t *testing.T) {
	s := New(t.TempDir())
	if err := join(s); err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.KeepCertificates(certify(other, 3)); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("KeepCertificates for another key: %v", err)
	}
	if _, err := s.Identity(); err != nil {
		t.Errorf("the identity from before is gone: %v", err)
	}
}
