package bundle

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
)

// A pilot-agent tells its version by its link flags, and is linked statically.
func TestInspectPilotAgent(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "pilot-agent")
	build := exec.Command("go", "build", "-o", program, "-ldflags", "-s -w -X istio.io/istio/pkg/version.buildVersion=1.31.4 -X istio.io/istio/pkg/version.buildTag=1.31.4", source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if got := inspected(t, program); got != (binary{version: "1.31.4"}) {
		t.Errorf("got %+v", got)
	}
}

// The host's shell stands in for Envoy: linked to the GNU C library.
func TestInspectLinkedProgram(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	if got := inspected(t, shell); !regexp.MustCompile(`^2\.\d+`).MatchString(got.minGlibc) || got.version != "" {
		t.Errorf("got %+v", got)
	}
}

func inspected(t *testing.T, path string) binary {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got, err := inspect(file, runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestVersionOf(t *testing.T) {
	for _, c := range []struct {
		name, agent string
		environment []string
		image, want string
	}{
		{"agent", "1.31.4", []string{"ISTIO_META_ISTIO_VERSION=1.0"}, "istio/proxyv2:1.1", "1.31.4"},
		{"environment", "", []string{"PATH=/bin", "ISTIO_META_ISTIO_VERSION=1.31.3"}, "istio/proxyv2:latest", "1.31.3"},
		{"tag", "", nil, "registry:5000/istio/proxyv2:1.31.2-distroless", "1.31.2"},
		{"digest", "", nil, "istio/proxyv2@sha256:12ab", "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := versionOf(c.agent, c.environment, c.image); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestNewer(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"", "2.17", "2.17"}, {"2.4", "2.31", "2.31"}, {"2.3.4", "2.3", "2.3.4"}, {"2.34", "2.34", "2.34"}, {"2.17", "PRIVATE", "2.17"},
	} {
		if got := newer(c.a, c.b); got != c.want {
			t.Errorf("newer(%q, %q) is %q, want %q", c.a, c.b, got, c.want)
		}
	}
}
