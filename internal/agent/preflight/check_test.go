package preflight

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/golden"
)

func fit() Facts {
	return Facts{
		Root: true, Systemd: true, SystemdVersion: 252, UnitTemplate: true, NFTables: "/usr/sbin/nft", IPTables: "/usr/sbin/iptables",
		AccountName: "istio-proxy", AccountNumber: 1337, GroupName: "istio-proxy", GroupNumber: 1337,
		FreeBytes: 10 << 30, Architecture: "amd64", Glibc: "2.36", Resolver: "plain",
	}
}

func need() Need { return Need{MinGlibc: "2.31", Bytes: 300 << 20, Intercept: true} }

// unfit are hosts that cannot join, by what was changed of one that can.
func unfit() []struct {
	name   string
	change func(*Facts)
} {
	return []struct {
		name   string
		change func(*Facts)
	}{
		{"not root", func(f *Facts) { f.Root = false }},
		{"no systemd", func(f *Facts) { f.Systemd = false }},
		{"old systemd", func(f *Facts) { f.SystemdVersion = 219 }},
		{"binary without its package", func(f *Facts) { f.UnitTemplate = false }},
		{"read-only file systems", func(f *Facts) { f.ReadOnly = []string{"/etc", "/var/lib"} }},
		{"wrong architecture", func(f *Facts) { f.Architecture = "riscv64" }},
		{"no glibc", func(f *Facts) { f.Glibc = "" }},
		{"old glibc", func(f *Facts) { f.Glibc = "2.17" }},
		{"neither nftables nor iptables", func(f *Facts) { f.NFTables, f.IPTables = "", "" }},
		{"rules are denied", func(f *Facts) { f.RulesDenied = "Operation not permitted" }},
		{"uid 1337 is somebody's", func(f *Facts) { f.AccountName, f.AccountNumber = "alice", -1 }},
		{"istio-proxy has another uid", func(f *Facts) { f.AccountName, f.AccountNumber = "", 998 }},
		{"gid 1337 is somebody's", func(f *Facts) { f.GroupName, f.GroupNumber = "staff", -1 }},
		{"istio-proxy has another gid", func(f *Facts) { f.GroupName, f.GroupNumber = "", 998 }},
		{"ports in use", func(f *Facts) { f.Listeners = []Listener{{15001, "squid", 812}, {15090, "", 0}} }},
		{"no space", func(f *Facts) { f.FreeBytes = 120 << 20 }},
		{"no name server", func(f *Facts) { f.Resolver = "" }},
		{"another Istio", func(f *Facts) { f.Istio = []string{"/usr/lib/systemd/system/istio.service"} }},
		{"several at once", func(f *Facts) { f.Systemd, f.Glibc, f.FreeBytes = false, "", 0 }},
	}
}

func TestUnfitHosts(t *testing.T) {
	var out strings.Builder
	for _, host := range unfit() {
		facts := fit()
		host.change(&facts)
		problems := Check(facts, need())
		if len(problems) == 0 {
			t.Errorf("%s: no problem was found", host.name)
		}
		fmt.Fprintf(&out, "%s\n", host.name)
		for _, problem := range problems {
			fmt.Fprintf(&out, "  %s: %s\n", problem.Code, problem)
		}
	}
	golden.Check(t, "unfit.txt", out.String())
}

func TestFitHosts(t *testing.T) {
	for name, change := range map[string]func(*Facts, *Need){
		"all there is":                      func(*Facts, *Need) {},
		"account is free":                   func(f *Facts, _ *Need) { f.AccountName, f.AccountNumber, f.GroupName, f.GroupNumber = "", -1, "", -1 },
		"iptables alone":                    func(f *Facts, _ *Need) { f.NFTables = "" },
		"no rules, and none are wanted":     func(f *Facts, n *Need) { f.NFTables, f.IPTables, n.Intercept = "", "", false },
		"version of systemd is unknown":     func(f *Facts, _ *Need) { f.SystemdVersion = 0 },
		"newer glibc by number, not text":   func(f *Facts, n *Need) { f.Glibc, n.MinGlibc = "2.100", "2.31" },
		"glibc with a patch level":          func(f *Facts, n *Need) { f.Glibc, n.MinGlibc = "2.31.1", "2.31" },
		"need of glibc is unknown":          func(f *Facts, n *Need) { f.Glibc, n.MinGlibc = "2.17", "" },
		"arm64":                             func(f *Facts, _ *Need) { f.Architecture = "arm64" },
		"systemd-resolved":                  func(f *Facts, _ *Need) { f.Resolver = "systemd-resolved" },
		"exactly as much space as there is": func(f *Facts, n *Need) { f.FreeBytes = n.Bytes },
	} {
		facts, wanted := fit(), need()
		change(&facts, &wanted)
		if problems := Check(facts, wanted); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
}
