package interception

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

const program = "/versions/1/pilot-agent"

func rules(backend plan.Backend) plan.Rules {
	r := plan.Rules{Backend: backend, SSH: true, Flags: []string{"--proxy-uid=1337"}}
	if backend == plan.NFTables {
		r.Flags = append(r.Flags, "--native-nftables", "--redirect-dns")
		r.Nameservers = []string{"192.0.2.53"}
	}
	return r
}

func observe(t *testing.T, traffic *Traffic, want plan.Interception) {
	t.Helper()
	seen, err := traffic.Observe(t.Context(), true)
	if err != nil || !reflect.DeepEqual(seen, want) {
		t.Errorf("observed %+v, %v, want %+v", seen, err, want)
	}
}

func TestRulesComeAndGo(t *testing.T) {
	for _, c := range []struct {
		name    string
		backend plan.Backend
		damage  func(h *fakeHost)
		second  string
	}{
		{"nftables", plan.NFTables, func(h *fakeHost) { h.inet[tableNAT] = "table inet istio-proxy-nat {\n}\n" }, ""},
		{"nftables, a table is gone", plan.NFTables, func(h *fakeHost) { delete(h.inet, tableRaw) }, ""},
		{"iptables", plan.IPTables, func(h *fakeHost) {
			h.saved["iptables-nft"] = strings.Replace(h.saved["iptables-nft"], "-j RETURN", "-j DROP", 1)
		}, "iptables-nft"},
		// istio-iptables takes the other flavour when it is run again.
		{"iptables of two flavours", plan.IPTables, func(h *fakeHost) { h.saved["iptables-legacy"] = "" }, "iptables-legacy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			before := h.String()
			traffic := h.traffic()
			whole := plan.Interception{Backends: []plan.Backend{c.backend}, Applied: rules(c.backend).String(), Whole: true}
			observe(t, traffic, plan.Interception{})
			for range 2 {
				if err := traffic.Apply(t.Context(), program, rules(c.backend)); err != nil {
					t.Fatal(err)
				}
				observe(t, traffic, whole)
				if want := "1000ms " + string(c.backend); h.armed != want {
					t.Errorf("the switch is set to %q, want %q", h.armed, want)
				}
				h.flavour = c.second
			}
			if err := traffic.Disarm(t.Context()); err != nil || h.armed != "" {
				t.Errorf("disarm: %v, %s", err, h.armed)
			}
			// Counters are not part of rules, and an agent that has just started knows them, too.
			h.saved["iptables-nft"] = strings.ReplaceAll(h.saved["iptables-nft"], "[12:345]", "[99:999]")
			traffic = h.traffic()
			observe(t, traffic, whole)
			c.damage(h)
			if seen, err := traffic.Observe(t.Context(), true); err != nil || seen.Whole {
				t.Errorf("observed %+v, %v after damage", seen, err)
			}
			for range 2 {
				if err := traffic.Remove(t.Context(), c.backend); err != nil {
					t.Fatal(err)
				}
				if after := h.String(); after != before {
					t.Errorf("removed:\n%s\nwant\n%s", after, before)
				}
			}
			observe(t, traffic, plan.Interception{})
		})
	}
}

func TestTablesOfEarlierRulesGo(t *testing.T) {
	h := newHost(t)
	h.inet[tableMangle] = "table inet istio-proxy-mangle {\n}\n"
	traffic := h.traffic()
	if err := traffic.Apply(t.Context(), program, rules(plan.NFTables)); err != nil {
		t.Fatal(err)
	}
	plain := plan.Rules{Backend: plan.NFTables, Flags: []string{"--native-nftables"}}
	if err := traffic.Apply(t.Context(), program, plain); err != nil {
		t.Fatal(err)
	}
	if _, raw := h.inet[tableRaw]; raw || len(h.inet) != 2 {
		t.Errorf("tables:\n%s", h)
	}
	observe(t, traffic, plan.Interception{Backends: []plan.Backend{plan.NFTables}, Applied: plain.String(), Whole: true})
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(h *fakeHost)
		want   string
		// left tells whether rules may still be there; the switch is set then.
		left bool
	}{
		{"istio-iptables breaks off", func(h *fakeHost) { h.breaks = true }, "no such chain", false},
		{"no systemd-run", func(h *fakeHost) { h.lacks = []string{"systemd-run"} }, "dead man's switch", false},
		{"no such version", func(h *fakeHost) { h.lacks = []string{program} }, "set traffic rules", false},
		{"the directory cannot be made", func(h *fakeHost) { h.directory = "/proc/none" }, "dead man's switch", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t)
			c.damage(h)
			err := h.traffic().Apply(t.Context(), program, rules(plan.NFTables))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("apply: %v, want %q", err, c.want)
			}
			if _, found := h.inet[tableNAT]; found != c.left {
				t.Errorf("the host is\n%s", h)
			}
		})
	}
}

func TestRemoveSaysWhatIsLeft(t *testing.T) {
	h := newHost(t)
	traffic := h.traffic()
	if err := traffic.Apply(t.Context(), program, rules(plan.NFTables)); err != nil {
		t.Fatal(err)
	}
	h.clings = true
	if err := traffic.Remove(t.Context(), plan.NFTables); err == nil || !strings.Contains(err.Error(), "nft list ruleset") {
		t.Errorf("remove: %v", err)
	}
	if h.armed != "" {
		t.Error("the switch is still set")
	}
}

func TestRemoveWithoutAnyProgram(t *testing.T) {
	h := newHost(t)
	h.lacks = []string{"nft", "iptables-save", "ip6tables-save", "iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save"}
	for _, backend := range []plan.Backend{plan.NFTables, plan.IPTables} {
		if err := h.traffic().Remove(t.Context(), backend); err != nil {
			t.Errorf("%s: %v", backend, err)
		}
	}
	observe(t, h.traffic(), plan.Interception{})
}

func TestKernelsThatRefuse(t *testing.T) {
	h := newHost(t)
	h.refuses = []string{"iptables-legacy-save", "ip6tables-legacy-save"}
	observe(t, h.traffic(), plan.Interception{})
	h.refuses = []string{"iptables-save"}
	if _, err := h.traffic().Observe(t.Context(), true); err == nil {
		t.Error("a kernel that refuses the host's own iptables has no error")
	}
	h.refuses = []string{"nft"}
	if _, err := h.traffic().Observe(t.Context(), false); err == nil || !strings.Contains(err.Error(), "Operation not permitted") {
		t.Errorf("observe: %v", err)
	}
}

// TestBackend runs on hosts with and without the programs: what the host has decides what the fakes are asked for.
func TestBackend(t *testing.T) {
	_, nftErr := command.Find("nft")
	_, iptErr := command.Find("iptables-save")
	want := plan.Backend("")
	switch {
	case nftErr == nil:
		want = plan.NFTables
	case iptErr == nil:
		want = plan.IPTables
	}
	if backend, denied := newHost(t).traffic().Backend(t.Context()); backend != want || denied != "" {
		t.Errorf("backend %q, denied %q, want %q", backend, denied, want)
	}
	if want == "" {
		return
	}
	h := newHost(t)
	h.refuses = []string{"nft", "iptables-save"}
	if backend, denied := h.traffic().Backend(t.Context()); backend != "" || !strings.Contains(denied, "Operation not permitted") {
		t.Errorf("backend %q, denied %q where the kernel refuses", backend, denied)
	}
}

// TestFilesUnderTheAgentsUmask: the proxy's user passes through the directory, and reads nothing of the agent's in it.
func TestFilesUnderTheAgentsUmask(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	h := newHost(t)
	if err := h.traffic().Apply(t.Context(), program, rules(plan.NFTables)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{
		filepath.Dir(h.directory): 0o755, h.directory: 0o755, h.directory + "/undo-interception.sh": 0o600, h.directory + "/interception.json": 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
	// A record that cannot be read makes the rules be set again.
	if err := os.WriteFile(h.directory+"/interception.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	observe(t, h.traffic(), plan.Interception{Backends: []plan.Backend{plan.NFTables}})
	if err := h.traffic().Remove(t.Context(), plan.NFTables); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.directory + "/interception.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the record of rules that are gone is still there: %v", err)
	}
}
