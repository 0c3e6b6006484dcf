package cluster

import (
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/util/cert"
)

func TestPKIIsMadeOnceAndVerifies(t *testing.T) {
	config := Config{StateDir: t.TempDir(), NodeAddress: netip.MustParseAddr("192.0.2.2")}
	if err := config.ensurePKI(); err != nil {
		t.Fatal(err)
	}
	before := readAll(t, config.path("pki"))
	// An empty file is what a crash of the host may leave.
	if err := os.WriteFile(config.pki("admin.crt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.ensurePKI(); err != nil {
		t.Fatal(err)
	}
	for name, content := range readAll(t, config.path("pki")) {
		if changed := content != before[name]; changed != (name == "admin.crt") {
			t.Errorf("%s: changed is %t", name, changed)
		}
	}
	roots := x509.NewCertPool()
	authority, err := os.ReadFile(config.pki("ca.crt"))
	if err != nil || !roots.AppendCertsFromPEM(authority) {
		t.Fatalf("no CA: %v", err)
	}
	for _, identity := range config.identities() {
		certificates, err := cert.CertsFromFile(config.pki(identity.name + ".crt"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = certificates[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil || certificates[0].Subject.CommonName != identity.user {
			t.Errorf("%s: %v", identity.name, err)
		}
	}
}

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = string(content)
		if info, err := os.Stat(path); err != nil || (filepath.Ext(path) == ".key" && info.Mode().Perm() != 0o600) {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	return all
}
