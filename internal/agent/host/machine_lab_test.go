//go:build lab

package host_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/host/proxy/proxytest"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

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
	traffic := interception.New(interception.Options{Runner: command.Exec{}, Directory: t.TempDir()})
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
	m.want("iptables-save 2>/dev/null | grep -c ISTIO_LEFTOVER", "0\n(exit status 1)")
	m.shell("iptables -t nat -D ISTIO_INBOUND 1")
	if seen, err := traffic.Observe(t.Context(), true); err != nil || seen.Whole {
		t.Errorf("observed %+v, %v after a rule was deleted", seen, err)
	}
	if err := traffic.Remove(t.Context(), plan.IPTables); err != nil {
		t.Fatal(err)
	}
	m.want("iptables-save 2>/dev/null | grep -c ISTIO", "0\n(exit status 1)")
	m.want("iptables-save 2>/dev/null | grep -c -- '--dport 9 -j RETURN'", "1")
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
