//go:build lab

package host_test

import (
	"strings"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
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
	m.want("cat "+plan.SlotB.Link()+"/envoy", "envoy 1.1")
	m.want("systemctl is-active "+plan.SlotA.Unit()+" "+plan.SlotB.Unit(), "inactive\nactive")
	m.want("ls "+plan.VersionsDirectory+" | wc -l", "2")
	want.Interception.Mode = hawserv1.Interception_MODE_NONE
	want.Dns.Enabled = false
	t.Log(strings.Join(m.converge(want), "\n"))
	m.want("nft list tables | grep -c istio-proxy", "0\n(exit status 1)")
	m.want("grep -c Hawser /etc/resolv.conf", "0\n(exit status 1)")
}

// TestMachine_LeavesWithoutANetwork restores while no packet gets anywhere, not even within the machine.
func TestMachine_LeavesWithoutANetwork(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	before, rules := files(t), m.rules()
	m.converge(desired(proxy))
	t.Cleanup(func() { m.shell("nft delete table inet cut") })
	m.shell(`nft add table inet cut
		for hook in input output; do nft add chain inet cut $hook "{ type filter hook $hook priority -400; policy drop; }"; done`)
	m.want("timeout 1 getent ahostsv4 only-on-host | wc -l", "0")
	started := time.Now()
	m.restore()
	if took := time.Since(started); took > 10*time.Second {
		t.Errorf("leaving took %s", took)
	}
	if after := files(t); after != before {
		t.Errorf("the files are not as they were:\n%s", difference(before, after))
	}
	m.shell("nft delete table inet cut")
	if after := m.rules(); after != rules {
		t.Errorf("the rules are not as they were:\n%s", difference(rules, after))
	}
}
