package hostfacts

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestObserve(t *testing.T) {
	facts, err := Observe(t.Context(), "192.0.2.1:15012")
	if err != nil {
		t.Fatal(err)
	}
	if facts.GetHostname() == "" || facts.GetKernelVersion() == "" || facts.GetBootId() == "" || facts.GetArchitecture() != runtime.GOARCH || facts.GetUnixTime() == 0 {
		t.Errorf("facts without what every Linux has: %v", facts)
	}
}

func TestOperatingSystem(t *testing.T) {
	for content, want := range map[string]string{
		"NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n": "Debian GNU/Linux 12 (bookworm)",
		"PRETTY_NAME='Alpine Linux'\n":                                  "Alpine Linux",
		"PRETTY_NAME=Void\n":                                            "Void",
		"ID=x\n":                                                        "",
	} {
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "etc/os-release"), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := operatingSystem(root); got != want {
			t.Errorf("%q: got %q, want %q", content, got, want)
		}
	}
	if got := operatingSystem(t.TempDir()); got != "" {
		t.Errorf("no os-release: %q", got)
	}
}
