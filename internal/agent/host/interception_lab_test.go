//go:build lab

package host_test

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"net"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/host/proxy/proxytest"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

var (
	//go:embed testdata/rules.nftables
	rulesByNFTables string
	//go:embed testdata/rules.iptables
	rulesByIPTables string
)

// program is Istio's own pilot-agent.
func program() string { return cmp.Or(os.Getenv(proxytest.Program), proxytest.DefaultProgram) }

func allTraffic(backend plan.Backend) plan.Rules {
	rules := plan.Rules{Backend: backend, SSH: true, Flags: []string{
		"--proxy-uid=1337", "--proxy-gid=1337", "--istio-inbound-ports=*", "--istio-local-exclude-ports=22,15020",
		"--istio-service-cidr=*", "--istio-local-outbound-ports-exclude=15012", "--redirect-dns",
	}}
	if backend == plan.NFTables {
		rules.Flags = append(rules.Flags, "--native-nftables")
		rules.Nameservers = []string{"as in resolv.conf"}
	}
	return rules
}

// TestMachine_RulesComeAndGoOneForOne sets rules beside those of others by both backends. The lab's machines have both, so the
// one by iptables is asked for by name, and no other table than Istio's may change its rules, or even their numbers.
func TestMachine_RulesComeAndGoOneForOne(t *testing.T) {
	for _, c := range []struct {
		backend plan.Backend
		want    string
		damage  string
	}{
		{plan.NFTables, rulesByNFTables, "nft delete rule inet istio-proxy-nat istio-inbound handle $(nft -a list chain inet istio-proxy-nat istio-inbound | awk '/dport 22 /{print $NF}')"},
		{plan.IPTables, rulesByIPTables, "iptables -t nat -D ISTIO_INBOUND 1 || iptables-legacy -t nat -D ISTIO_INBOUND 1"},
	} {
		t.Run(string(c.backend), func(t *testing.T) {
			m := fresh(t, artifacts{}, reached)
			m.shell(`nft add table inet others; nft add chain inet others c '{ type filter hook input priority 5; }'; nft add rule inet others c tcp dport 9 counter accept
				iptables -t nat -A OUTPUT -p tcp --dport 9 -j RETURN; iptables -t nat -N OTHERS`)
			t.Cleanup(func() {
				m.shell(`nft delete table inet others; iptables -t nat -F; iptables -t nat -X
					for t in nat raw filter mangle; do nft delete table ip $t; nft delete table ip6 $t; done`)
			})
			before := m.rules()
			if c.backend == plan.IPTables {
				// An earlier run of Istio's own that was cut off: istio-iptables alone would stop at it.
				m.shell("iptables -t nat -N ISTIO_LEFTOVER; iptables -t nat -A OUTPUT -p tcp --dport 9 -j ISTIO_LEFTOVER")
			}
			traffic := interception.New(interception.Options{Runner: command.Exec{}, Directory: t.TempDir()})
			rules := allTraffic(c.backend)
			for range 2 {
				m.apply(traffic, rules)
				if got := m.normal(added(before, m.rules())); got != c.want {
					t.Errorf("rules:\n%s\ndifference:\n%s", got, difference(c.want, got))
				}
			}
			m.shell(c.damage)
			if seen, err := traffic.Observe(t.Context(), true); err != nil || seen.Whole || len(seen.Backends) != 1 {
				t.Errorf("observed %+v, %v after a rule was deleted", seen, err)
			}
			for range 2 {
				if err := traffic.Remove(t.Context(), c.backend); err != nil {
					t.Fatal(err)
				}
				if after := m.rules(); after != before {
					t.Errorf("the rules are not as they were:\n%s", difference(before, after))
				}
			}
			m.want("systemctl is-active "+interception.SwitchUnit, "inactive\n(exit status 3)")
		})
	}
}

// apply sets rules that are whole then.
func (m machine) apply(traffic *interception.Traffic, rules plan.Rules) {
	m.Helper()
	if err := traffic.Apply(m.Context(), program(), rules); err != nil {
		m.Fatal(err)
	}
	seen, err := traffic.Observe(m.Context(), true)
	want := plan.Interception{Backends: []plan.Backend{rules.Backend}, Applied: rules.String(), Whole: true}
	if err != nil || !reflect.DeepEqual(seen, want) {
		m.Errorf("observed %+v, %v, want %+v", seen, err, want)
	}
}

// normal leaves out what differs between two runs: numbers of rules, the flavour of iptables that was chosen, and the nameserver.
func (m machine) normal(rules string) string {
	rules = regexp.MustCompile(` # handle \d+`).ReplaceAllString(rules, "")
	rules = regexp.MustCompile(`(?m)^(ip6?tables)-(nft|legacy) `).ReplaceAllString(rules, "$1 ")
	nameserver := m.shell("awk '/^nameserver/ {print $2; exit}' /etc/resolv.conf")
	return strings.TrimSpace(strings.NewReplacer(nameserver+"/32", "NAMESERVER", nameserver, "NAMESERVER").Replace(rules)) + "\n"
}

// shortDelay of the switch shows in seconds what DefaultDelay shows in half a minute.
const shortDelay = 4 * time.Second

func TestMachine_RulesThatCutItOffUndoThemselves(t *testing.T) {
	proxy, served := version("1.0")
	manager := os.Getenv("HAWSER_TEST_MANAGER")
	dial := func(ctx context.Context) error {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", manager)
		if err == nil {
			_ = connection.Close()
		}
		return err
	}
	if err := dial(t.Context()); err != nil {
		t.Fatalf("HAWSER_TEST_MANAGER is not within reach before the rules are set: %v", err)
	}
	m := fresh(t, served, dial)
	m.host = host.New(host.Options{Manager: manager, Artifacts: served, Reachable: dial, InterceptionDelay: shortDelay})
	for _, c := range []struct {
		name              string
		inbound, outbound []string
		want              string
	}{
		{"manager", []string{"22", "15020"}, nil, "the manager is out of reach"},
		{"SSH", []string{"15020"}, []string{"15012"}, "SSH (port 22)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := desired(proxy)
			want.Interception.ExcludeInboundPorts, want.Interception.ExcludeOutboundPorts = c.inbound, c.outbound
			_, err := converge.Converger{Host: m.host}.Converge(t.Context(), want)
			if !errors.Is(err, interception.ErrCutOff) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("converge: %v, want that the rules were taken away again: %s", err, c.want)
			}
			m.want("nft list tables | grep -c istio-proxy", "0\n(exit status 1)")
			m.want("systemctl is-active "+interception.SwitchUnit, "inactive\n(exit status 3)")
			if err := dial(t.Context()); err != nil {
				t.Errorf("the manager is still out of reach: %v", err)
			}
		})
	}
	// With the ports left out the same machine stays within reach.
	want := desired(proxy)
	m.converge(want)
	m.want("nft list tables | grep -c istio-proxy-nat", "1")
}

// TestMachine_SSHComesBackWithoutTheAgent has a client of SSH beyond a link of its own, and no agent any more.
func TestMachine_SSHComesBackWithoutTheAgent(t *testing.T) {
	m := fresh(t, artifacts{}, reached)
	t.Cleanup(func() { m.shell("ip netns delete client; ip link delete to-client; rmdir /run/netns") })
	m.shell(`ip netns add client; ip link add to-client type veth peer name eth0 netns client
		ip address add 10.99.0.1/24 dev to-client; ip link set to-client up; ip -n client address add 10.99.0.2/24 dev eth0; ip -n client link set eth0 up`)
	greeted := func() bool {
		return m.shell(`ip netns exec client timeout 1 bash -c 'exec 3<>/dev/tcp/10.99.0.1/22 && head -c4 <&3' 2>/dev/null`) == "SSH-"
	}
	m.eventually(5*time.Second, "SSH greets before rules are set", greeted)
	for _, backend := range []plan.Backend{plan.NFTables, plan.IPTables} {
		traffic := interception.New(interception.Options{Runner: command.Exec{}, Directory: t.TempDir(), Delay: shortDelay})
		rules := allTraffic(backend)
		m.apply(traffic, rules)
		if !greeted() {
			t.Errorf("%s: SSH does not greet although its port is left out", backend)
		}
		rules.Flags[3] = "--istio-local-exclude-ports=15020"
		m.apply(traffic, rules)
		if greeted() {
			t.Errorf("%s: SSH greets although its port goes through the proxy: the test proves nothing", backend)
		}
		m.eventually(shortDelay+3*time.Second, "SSH greets again", greeted)
		if seen, err := traffic.Observe(t.Context(), true); err != nil || len(seen.Backends) > 0 {
			t.Errorf("observed %+v, %v when the switch had taken the rules away", seen, err)
		}
		if err := traffic.Remove(t.Context(), backend); err != nil {
			t.Error(err)
		}
	}
	m.shell("iptables -t nat -F; for t in nat raw filter mangle; do nft delete table ip $t; nft delete table ip6 $t; done")
}

func TestMachine_DeadMansSwitchOutlivesTheAgent(t *testing.T) {
	proxy, served := version("1.0")
	m := fresh(t, served, reached)
	want := desired(proxy)
	started := time.Now()
	m.dieAfter("intercept traffic")
	m.want("nft list tables | grep -c istio-proxy-nat", "1")
	set := time.Now()
	m.eventually(35*time.Second, "the rules are gone", func() bool { return m.shell("nft list tables | grep istio-proxy") == "(exit status 1)" })
	if gone := time.Since(set); gone > 30*time.Second {
		t.Errorf("the rules were gone after %s, want at most 30 s", gone)
	}
	t.Logf("gone %s after they were set", time.Since(started))
	m.converge(want)
	// An agent that comes back in time takes the rules for confirmed only when they are.
	m.shell("nft delete table inet istio-proxy-nat")
	m.dieAfter("intercept traffic")
	if steps := m.converge(want); len(steps) != 1 || !strings.HasPrefix(steps[0], "confirm interception") {
		t.Errorf("steps:\n%s", strings.Join(steps, "\n"))
	}
	m.want("systemctl is-active "+interception.SwitchUnit, "inactive\n(exit status 3)")
}
