//go:build lab

package host_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/host/proxy/proxytest"
	"github.com/hawser-io/hawser/internal/agent/plan"
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
	case os.Getenv(diesAfter) != "":
		os.Exit(convergeAndDie())
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
		compressed := encoder.EncodeAll(content, nil)
		served.compressed[hash(content)] = compressed
		proxy.Files = append(proxy.Files, &hawserv1.ProxyFile{
			Path: path, Sha256: hash(content), Size: int64(len(content)), CompressedSize: int64(len(compressed)), Executable: !strings.HasSuffix(path, ".json"),
		})
	}
	slices.SortFunc(proxy.Files, func(a, b *hawserv1.ProxyFile) int { return strings.Compare(a.Path, b.Path) })
	return proxy, served
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

func newHost(served artifacts, reachable func(context.Context) error) *host.Host {
	return host.New(host.Options{Manager: "192.0.2.1:15012", Artifacts: served, Reachable: reachable})
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

// state is a text of all that a join may change.
func (m machine) state() string {
	return m.shell(`
find /etc /var/lib /usr/lib/systemd /opt /srv -xdev \( -path /var/lib/apt -o -path /var/lib/systemd -o -path /var/lib/dpkg \) -prune -o -type f -printf '%p %m %U:%G ' -exec sha256sum {} \; -o -printf '%p %m %U:%G %l\n' | sort
ls -A /run/hawser 2>&1
nft -s list ruleset
ip -o link | awk '{print $2}' | sed 's/@.*//'
systemctl list-units --all --no-legend --plain 'hawser-*'
grep -v '^#' /etc/resolv.conf
getent passwd | sort; getent group | sort`)
}

// fresh returns a machine that is as it was before any join, and fails the test if it is not again after it.
func fresh(t *testing.T, served artifacts, reachable func(context.Context) error) machine {
	m := machine{T: t, host: newHost(served, reachable)}
	if err := m.host.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.shell("rmdir /var/lib/hawser/state /var/lib/hawser /run/hawser; systemctl reset-failed")
	before := m.state()
	t.Cleanup(func() {
		for range 2 {
			if err := m.host.Restore(context.Background()); err != nil {
				t.Errorf("restore: %v", err)
			}
			m.shell("rmdir /var/lib/hawser/state /var/lib/hawser /run/hawser")
			if after := m.state(); after != before {
				t.Errorf("the machine is not as it was before:\n%s", difference(before, after))
			}
		}
	})
	return m
}

func difference(before, after string) string {
	var text strings.Builder
	old, now := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range old {
		if !slices.Contains(now, line) {
			text.WriteString("- " + line + "\n")
		}
	}
	for _, line := range now {
		if !slices.Contains(old, line) {
			text.WriteString("+ " + line + "\n")
		}
	}
	return text.String()
}

func TestMachine_JoinsStaysAndLeaves(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	// Names that the machine's own resolver knows, by its search domain as well.
	resolved := map[string]string{}
	for _, name := range []string{"only-on-host.lab.internal", "only-on-host"} {
		if resolved[name] = m.shell("getent ahostsv4 " + name + " | awk 'NR==1 {print $1}'"); resolved[name] == "" {
			t.Errorf("%s does not resolve before the join: this is no machine of the lab", name)
		}
	}
	want := desired(proxy)
	started := time.Now()
	t.Logf("%s", strings.Join(m.converge(want), "\n"))
	t.Logf("converged in %s", time.Since(started))
	if steps := m.converge(want); len(steps) > 0 {
		t.Errorf("converging again took steps:\n%s", strings.Join(steps, "\n"))
	}
	unit := plan.SlotA.Unit()
	m.want("ps -o user:20= -p $(systemctl show -P MainPID "+unit+")", "istio-proxy")
	m.want("tr '\\0' '\\n' </proc/$(systemctl show -P MainPID "+unit+")/environ | sed -n 's/^TRICKY=//p'", trickyValue)
	m.want("grep -c istiod.istio-system.svc /etc/hosts", "1")
	m.want("stat -c '%a %U %F' "+plan.SlotA.TokenFile(), "400 istio-proxy regular file")
	m.want("stat -f -c %T "+plan.SlotA.TokenFile(), "tmpfs")
	// Envoy opens its access log by path.
	m.eventually(5*time.Second, "the proxy's access log reaches the journal", func() bool {
		return strings.Contains(m.shell("journalctl --no-pager -o cat -u "+unit), "access log opened as /dev/stdout")
	})
	names := []string{"web", "web.shop.svc.cluster.local", "web.shop.svc"}
	if m.shell("systemctl is-active systemd-resolved") != "active" {
		// systemd-resolved searches no domain for names of several parts.
		names = append(names, "web.shop")
	}
	for _, name := range names {
		m.want("getent ahostsv4 "+name+" | awk 'NR==1 {print $1}'", "10.96.0.77")
	}
	for name, before := range resolved {
		m.want("getent ahostsv4 "+name+" | awk 'NR==1 {print $1}'", before)
	}
}

func TestMachine_RepairsWhatDrifted(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	want := desired(proxy)
	m.converge(want)
	for _, c := range []struct{ name, damage, step string }{
		{"hosts file edited", "sed -i '/Hawser/,/Hawser: end/d' /etc/hosts", "edit /etc/hosts"},
		{"unit stopped", "systemctl stop " + plan.SlotA.Unit(), "start proxy in slot a"},
		{"rules gone", "nft delete table inet istio-proxy-nat", "intercept traffic"},
		{"one rule gone", "nft delete rule inet istio-proxy-nat istio-inbound handle $(nft -a list chain inet istio-proxy-nat istio-inbound | awk '/dport 22 /{print $NF}')", "intercept traffic"},
		{"wrong mode", "chmod 666 " + plan.SlotA.Directory() + "/etc/istio/config/mesh", "write " + plan.SlotA.Directory() + "/etc/istio/config/mesh"},
		{"binary damaged", "f=" + plan.SlotA.Link() + "/envoy; echo x >$f", "install proxy 1.0"},
		{"token gone", "rm " + plan.SlotA.TokenFile(), "write " + plan.SlotA.TokenFile()},
		{"configuration edited, proxy not restarted", "echo '#' >>" + plan.SlotA.Directory() + "/etc/istio/config/mesh", "write " + plan.SlotA.Directory() + "/etc/istio/config/mesh"},
		{"lookups forgotten", "if ip link show hawser0; then ip link delete hawser0; else sed -i '/Hawser/,/Hawser: end/d' /etc/resolv.conf; fi", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine{T: t, host: m.host}
			t.Log(m.shell(c.damage))
			steps := strings.Join(m.converge(want), "\n")
			if !strings.Contains(steps, c.step) || steps == "" {
				t.Errorf("the steps do not have %q:\n%s", c.step, steps)
			}
			if steps := m.converge(want); len(steps) > 0 {
				t.Errorf("converging again took steps:\n%s", strings.Join(steps, "\n"))
			}
		})
	}
}

func TestMachine_ResolverSurvivesRestartOfResolved(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	if m.shell("systemctl is-active systemd-resolved") != "active" {
		return // The lab runs this test on a machine of either kind.
	}
	m.converge(desired(proxy))
	m.shell("systemctl restart systemd-resolved")
	m.converge(desired(proxy))
	m.want("getent ahostsv4 web | awk 'NR==1 {print $1}'", "10.96.0.77")
	if steps := m.converge(desired(proxy)); len(steps) > 0 {
		t.Errorf("converging again took steps:\n%s", strings.Join(steps, "\n"))
	}
}

func TestMachine_ChangesOnlyWhatChanged(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	want := desired(proxy)
	m.converge(want)
	pid := m.shell("systemctl show -P MainPID " + plan.SlotA.Unit())
	want.Token.Token = "another token"
	want.Mesh.RootCertificates = []byte("other roots\n")
	want.Mesh.HostAliases[0].Address = "192.0.2.2"
	if steps := m.converge(want); len(steps) != 3 {
		t.Errorf("steps:\n%s", strings.Join(steps, "\n"))
	}
	m.want("systemctl show -P MainPID "+plan.SlotA.Unit(), pid)
	next, more := version("1.1")
	for name, content := range more.compressed {
		served.compressed[name] = content
	}
	want.Proxy = next
	t.Log(strings.Join(m.converge(want), "\n"))
	m.want("cat "+plan.SlotA.Link()+"/envoy", "envoy 1.1")
	m.want("ls "+plan.VersionsDirectory, plan.Digest(want))
	want.Interception.Mode = hawserv1.Interception_MODE_NONE
	want.Dns.Enabled = false
	t.Log(strings.Join(m.converge(want), "\n"))
	m.want("nft list tables | grep -c istio-proxy", "0\n(exit status 1)")
	m.want("grep -c Hawser /etc/resolv.conf", "0\n(exit status 1)")
}

func TestMachine_RulesThatCutItOffUndoThemselves(t *testing.T) {
	proxy, served := version("1.0")
	cut := errors.New("no route to the manager")
	m := fresh(t, served, func(context.Context) error { return cut })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err := converge.Converger{Host: m.host}.Converge(ctx, desired(proxy))
	if !errors.Is(err, interception.ErrCutOff) || !errors.Is(err, cut) {
		t.Errorf("converge: %v, want that the rules were taken away again", err)
	}
	m.want("nft list tables | grep -c istio-proxy", "0\n(exit status 1)")
	m.want("systemctl is-active "+interception.SwitchUnit, "inactive\n(exit status 3)")
}

func TestMachine_DeadMansSwitchOutlivesTheAgent(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	want := desired(proxy)
	m.dieAfter("intercept traffic")
	m.want("nft list tables | grep -c istio-proxy-nat", "1")
	m.eventually(35*time.Second, "the rules are gone", func() bool { return m.shell("nft list tables | grep istio-proxy") == "(exit status 1)" })
	m.converge(want)
	// An agent that comes back in time takes the rules for confirmed only when they are.
	m.shell("nft delete table inet istio-proxy-nat")
	m.dieAfter("intercept traffic")
	if steps := m.converge(want); len(steps) != 1 || !strings.HasPrefix(steps[0], "confirm interception") {
		t.Errorf("steps:\n%s", strings.Join(steps, "\n"))
	}
	m.want("systemctl is-active "+interception.SwitchUnit, "inactive\n(exit status 3)")
}

// TestMachine_SetsRulesByIPTables is for hosts without nftables: the lab's machines have it, so the backend is asked for by name.
func TestMachine_SetsRulesByIPTables(t *testing.T) {
	m := fresh(t, artifacts{}, reached)
	m.shell("iptables -t nat -N ISTIO_LEFTOVER; iptables -t nat -A OUTPUT -p tcp --dport 9 -j ISTIO_LEFTOVER; iptables -t nat -A OUTPUT -p tcp --dport 9 -j RETURN")
	t.Cleanup(func() {
		m.shell("iptables -t nat -F; iptables -t raw -F; for t in nat raw; do iptables -t $t -X; ip6tables -t $t -X; nft delete table ip $t; nft delete table ip6 $t; done")
	})
	rules := plan.Rules{Backend: plan.IPTables, Flags: []string{"--proxy-uid=1337", "--proxy-gid=1337", "--istio-inbound-ports=*", "--istio-service-cidr=*", "--redirect-dns"}}
	traffic := interception.New(command.Exec{}, t.TempDir())
	program := cmp.Or(os.Getenv(proxytest.Program), proxytest.DefaultProgram)
	for range 2 {
		if err := traffic.Apply(t.Context(), program, rules); err != nil {
			t.Fatal(err)
		}
		seen, err := traffic.Observe(t.Context(), true)
		if want := (plan.Interception{Backends: []plan.Backend{plan.IPTables}, Applied: rules.String(), Whole: true}); err != nil || !reflect.DeepEqual(seen, want) {
			t.Errorf("observed %+v, %v, want %+v", seen, err, want)
		}
	}
	m.want("iptables-save | grep -c ISTIO_LEFTOVER", "0\n(exit status 1)")
	m.shell("iptables -t nat -D ISTIO_INBOUND 1")
	if seen, err := traffic.Observe(t.Context(), true); err != nil || seen.Whole {
		t.Errorf("observed %+v, %v after a rule was deleted", seen, err)
	}
	if err := traffic.Remove(t.Context(), plan.IPTables); err != nil {
		t.Fatal(err)
	}
	m.want("iptables-save | grep -c ISTIO", "0\n(exit status 1)")
	m.want("iptables-save | grep -c -- '--dport 9 -j RETURN'", "1")
}

const diesAfter = "HAWSER_TEST_DIES_AFTER"

// convergeAndDie converges in a process of its own that is killed after a number of steps, or after a step that begins so.
func convergeAndDie() int {
	proxy, served := version("1.0")
	number, err := strconv.Atoi(os.Getenv(diesAfter))
	byText := err != nil
	taken := 0
	c := converge.Converger{Host: newHost(served, reached), Finished: func(t converge.Taken) {
		taken++
		if !byText && taken == number || byText && strings.HasPrefix(t.Step.String(), os.Getenv(diesAfter)) {
			process, _ := os.FindProcess(os.Getpid())
			_ = process.Kill()
			select {}
		}
	}}
	if _, err := c.Converge(context.Background(), desired(proxy)); err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	return 0
}

// dieAfter reports whether the process was killed before it was done.
func (m machine) dieAfter(what string) bool {
	m.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), diesAfter+"="+what)
	out, err := cmd.CombinedOutput()
	exit, killed := errors.AsType[*exec.ExitError](err)
	if err != nil && (!killed || exit.ExitCode() != -1) {
		m.Fatalf("converge: %v: %s", err, out)
	}
	return err != nil
}

func TestMachine_FinishesWhatKillCutOff(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	for number := 1; ; number++ {
		killed := m.dieAfter(strconv.Itoa(number))
		if number%7 == 0 || !killed {
			m.converge(desired(proxy))
			if steps := m.converge(desired(proxy)); len(steps) > 0 {
				t.Errorf("killed after %d steps: converging again took steps:\n%s", number, strings.Join(steps, "\n"))
			}
		}
		if err := m.host.Restore(t.Context()); err != nil {
			t.Fatalf("restore after being killed after %d steps: %v", number, err)
		}
		m.shell("rmdir /var/lib/hawser/state /var/lib/hawser /run/hawser")
		if !killed {
			t.Logf("killed after each of %d steps", number-1)
			return
		}
	}
}
