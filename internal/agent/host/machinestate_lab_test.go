//go:build lab

package host_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host"
	"github.com/hawser-io/hawser/internal/agent/host/proxy/proxytest"
)

// These tests change the machine that they run on: compile them with -tags lab and run them as root in a machine of the lab, with
// the package's units installed and Istio's pilot-agent at the path in HAWSER_TEST_PILOT_AGENT.

// TestMain makes the test binary serve as the proxy, too: the version that the tests install is the test binary itself.
func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == "pilot-agent":
		os.Exit(proxytest.Main(os.Args[1:]))
	case os.Getenv("HAWSER_TEST_MACHINE") == "":
		os.Stderr.WriteString("these tests change the machine that they run on; set HAWSER_TEST_MACHINE=1 in a machine of the lab\n")
		os.Exit(2)
	}
	// The agent's unit has this umask; other users must get at what is theirs all the same.
	syscall.Umask(0o077)
	if os.Getenv(variableDoes) != "" {
		os.Exit(doAndDie())
	}
	os.Exit(m.Run())
}

// artifacts serves the test binary as every file of the proxy.
type artifacts struct{ compressed map[string][]byte }

func (a artifacts) ReadArtifact(_ context.Context, sha256 string, offset int64) (io.ReadCloser, error) {
	content, ok := a.compressed[sha256]
	if !ok {
		return nil, errors.New("no such artifact")
	}
	return io.NopCloser(bytes.NewReader(content[offset:])), nil
}

func version(name string) (*hawserv1.Proxy, artifacts) {
	served := artifacts{map[string][]byte{}}
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		panic(err)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		panic(err)
	}
	proxy := &hawserv1.Proxy{Version: name, ImageDigest: "sha256:" + hash([]byte(name))}
	for path, content := range map[string][]byte{"pilot-agent": program, "envoy": []byte("envoy " + name), "envoy_bootstrap.json": []byte("{}")} {
		compressed := kept(hash(content), func() []byte { return encoder.EncodeAll(content, nil) })
		served.compressed[hash(content)] = compressed
		proxy.Files = append(proxy.Files, &hawserv1.ProxyFile{
			Path: path, Sha256: hash(content), Size: int64(len(content)), CompressedSize: int64(len(compressed)), Executable: !strings.HasSuffix(path, ".json"),
		})
	}
	slices.SortFunc(proxy.Files, func(a, b *hawserv1.ProxyFile) int { return strings.Compare(a.Path, b.Path) })
	return proxy, served
}

// kept spares the processes that are killed compressing the test binary again.
func kept(name string, compress func() []byte) []byte {
	at := filepath.Join(os.TempDir(), name+".zst")
	content, err := os.ReadFile(at)
	if err != nil {
		content = compress()
		if err := (atomicfile.Writer{}).Write(atomicfile.File{Path: at, Mode: 0o600}, content); err != nil {
			panic(err)
		}
	}
	return content
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

const trickyValue = "a \"quoted\" $HOME `id` back\\slash 'single' %n ümlaut #hash"

func desired(proxy *hawserv1.Proxy) *hawserv1.DesiredState {
	return &hawserv1.DesiredState{
		Generation: "g1", Proxy: proxy,
		Mesh: &hawserv1.MeshConfig{
			MeshYaml:         []byte("defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\n"),
			Environment:      []*hawserv1.EnvVar{{Name: "TRICKY", Value: trickyValue}, {Name: "POD_NAMESPACE", Value: "shop"}},
			RootCertificates: []byte("root certificates\n"),
			HostAliases:      []*hawserv1.HostAlias{{Address: "192.0.2.1", Hostnames: []string{"istiod.istio-system.svc"}}},
		},
		Interception: &hawserv1.Interception{
			Mode: hawserv1.Interception_MODE_REDIRECT, InboundPorts: []string{"*"}, OutboundCidrs: []string{"*"},
			ExcludeInboundPorts: []string{"22", "15090", "15021", "15020"}, ExcludeOutboundPorts: []string{"15012"},
		},
		Dns:   &hawserv1.Dns{Enabled: true, SearchDomains: []string{"shop.svc.cluster.local", "svc.cluster.local", "cluster.local"}, Zones: []string{"cluster.local", "svc"}},
		Unit:  &hawserv1.Unit{OpenFiles: 65536, DrainMilliseconds: 1000},
		Token: &hawserv1.IstioToken{Token: "the token"},
	}
}

// elsewhere is where nobody answers: neither joining nor leaving asks the network for anything.
const elsewhere = "192.0.2.1:15012"

func newHost(served artifacts, reachable func(context.Context) error) *host.Host {
	return host.New(host.Options{Manager: elsewhere, Artifacts: served, Reachable: reachable})
}

func reached(context.Context) error { return nil }

// machine is one test's view of the machine.
type machine struct {
	*testing.T
	host *host.Host
}

func (m machine) converge(want *hawserv1.DesiredState) []string {
	m.Helper()
	result, err := converge.Converger{Host: m.host}.Converge(m.Context(), want)
	if err != nil {
		m.Fatalf("converge: %v\n%s", err, m.shell("journalctl --no-pager -n 30 -u 'hawser-proxy@*'"))
	}
	var lines []string
	for _, taken := range result.Taken {
		lines = append(lines, taken.Step.String())
	}
	return lines
}

func (m machine) shell(script string) string {
	m.Helper()
	out, err := exec.Command("/bin/sh", "-c", script).CombinedOutput()
	if err != nil {
		out = append(out, "("+err.Error()+")"...)
	}
	return strings.TrimSpace(string(out))
}

func (m machine) want(script, wanted string) {
	m.Helper()
	if got := m.shell(script); got != wanted {
		m.Errorf("%s\n printed %q\n want    %q", script, got, wanted)
	}
}

func (m machine) eventually(limit time.Duration, what string, condition func() bool) {
	m.Helper()
	ctx, cancel := context.WithTimeout(m.Context(), limit)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			m.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// restore puts the machine back, and removes the directories that are the store's to remove.
func (m machine) restore() {
	m.Helper()
	if err := m.host.Restore(context.Background()); err != nil {
		m.Errorf("restore: %v", err)
	}
	m.shell("rmdir /var/lib/hawser/state /var/lib/hawser")
}

// fresh returns a machine that is as it was before any join, and fails the test if it is not again after it.
func fresh(t *testing.T, served artifacts, reachable func(context.Context) error) machine {
	m := machine{T: t, host: newHost(served, reachable)}
	m.restore()
	m.shell("systemctl reset-failed")
	before := m.state()
	t.Cleanup(func() {
		for range 2 {
			m.restore()
			if after := m.state(); after != before {
				t.Errorf("the machine is not as it was before:\n%s", difference(before, after))
			}
		}
	})
	return m
}
