package plan_test

import (
	"context"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/plan/plantest"
	"github.com/hawser-io/hawser/internal/golden"
)

// damage changes a converged machine, or what is wanted of it.
type damage func(h *plantest.Host, want *hawserv1.DesiredState)

func cases() map[string]damage {
	slot := plan.SlotA.Directory()
	return map[string]damage{
		"nothing-to-do":       func(*plantest.Host, *hawserv1.DesiredState) {},
		"new-token-only":      func(_ *plantest.Host, want *hawserv1.DesiredState) { want.Token.Token = "another token" },
		"no-token-known":      func(_ *plantest.Host, want *hawserv1.DesiredState) { want.Token = nil },
		"new-root":            func(_ *plantest.Host, want *hawserv1.DesiredState) { want.Mesh.RootCertificates = []byte("new\n") },
		"new-gateway-address": func(_ *plantest.Host, want *hawserv1.DesiredState) { want.Mesh.HostAliases[0].Address = "172.31.0.241" },
		"gateway-moved-away-from-a-connection": func(h *plantest.Host, want *hawserv1.DesiredState) {
			h.State.Connections = []netip.Addr{netip.MustParseAddr("172.31.0.240"), netip.MustParseAddr("172.31.0.240")}
			want.Mesh.HostAliases[0].Address = "172.31.0.241"
		},
		"left-by-a-crash-before-connections-were-ended": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Connections = []netip.Addr{netip.MustParseAddr("172.31.0.240"), netip.MustParseAddr("172.31.0.239")}
		},
		"connection-to-where-the-owner-leads-the-name": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			hosts := h.State.Files[plan.HostsFile]
			hosts.Content = append([]byte("192.0.2.7 relay istiod.istio-system.svc # ours\n"), hosts.Content...)
			h.State.Files[plan.HostsFile] = hosts
			h.State.Connections = []netip.Addr{netip.MustParseAddr("192.0.2.7")}
		},
		"connection-to-a-control-plane-of-another-name": func(h *plantest.Host, want *hawserv1.DesiredState) {
			want.Mesh.DiscoveryAddress = "istiod.example.com:15012"
			h.State.Connections = []netip.Addr{netip.MustParseAddr("198.51.100.7")}
		},
		"second-gateway": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Mesh.HostAliases = append(want.Mesh.HostAliases, &hawserv1.HostAlias{Address: "172.31.0.241", Hostnames: []string{"istiod.istio-system.svc"}})
		},
		"new-environment": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Mesh.Environment[0].Value = `{"app":"ratings","version":"$2"}`
		},
		"new-environment-restart-left-to-the-owner": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Unit.Restart = hawserv1.Unit_RESTART_MANUAL
			want.Mesh.Environment[0].Value = `{"app":"ratings","version":"$2"}`
		},
		"new-version-restart-left-to-the-owner": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Unit.Restart = hawserv1.Unit_RESTART_MANUAL
			want.Proxy.Version, want.Proxy.ImageDigest = "1.31.1", "sha256:"+strings.Repeat("2", 64)
		},
		"new-address-restart-left-to-the-owner": func(h *plantest.Host, want *hawserv1.DesiredState) {
			want.Unit.Restart = hawserv1.Unit_RESTART_MANUAL
			h.State.Address = "192.0.2.99"
		},
		"older-agents-configuration": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			unit := h.State.Units[plan.SlotA]
			unit.Configuration = "0123456789abcdef"
			h.State.Units[plan.SlotA] = unit
		},
		"certificate-of-another-account": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Identities[plan.SlotA] = "spiffe://cluster.local/ns/shop/sa/catalog"
		},
		"certificate-of-the-account": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Identities[plan.SlotA] = "spiffe://another.domain/ns/shop/sa/ratings"
		},
		"new-mesh-configuration": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Mesh.MeshYaml = []byte("defaultConfig: {}\n")
		},
		"new-version": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Proxy.Version, want.Proxy.ImageDigest = "1.31.1", "sha256:"+strings.Repeat("2", 64)
		},
		"new-unit-settings":       func(_ *plantest.Host, want *hawserv1.DesiredState) { want.Unit.MemoryMax = 0 },
		"new-address-of-the-host": func(h *plantest.Host, _ *hawserv1.DesiredState) { h.State.Address = "192.0.2.11" },
		"new-upstream-resolver": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Upstream = []byte("nameserver 192.0.2.54\n")
			h.State.Files[plan.ResolvConfFile] = plan.File{Mode: 0o644, Owner: plan.Root, Content: h.State.Upstream}
		},
		"interception-off": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Interception.Mode = hawserv1.Interception_MODE_NONE
		},
		"port-excluded": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Interception.ExcludeInboundPorts = append(want.Interception.ExcludeInboundPorts, "9100")
		},
		"dns-off": func(_ *plantest.Host, want *hawserv1.DesiredState) { want.Dns = &hawserv1.Dns{} },
		"iptables-host-that-got-nftables": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Interception.Backends = []plan.Backend{plan.IPTables}
		},
		"left-by-a-crash-before-the-restart": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Units[plan.SlotA] = plan.Unit{Active: true, Ready: true, Configuration: "older"}
		},
		"left-by-a-crash-before-the-confirmation": func(h *plantest.Host, _ *hawserv1.DesiredState) { h.State.Interception.Armed = true },
		"left-by-a-crash-while-fetching": func(h *plantest.Host, want *hawserv1.DesiredState) {
			h.State.Versions[strings.Repeat("1", 64)] = false
			h.State.Versions[strings.Repeat("0", 64)] = false
		},
		"drifted-file": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Files[slot+"/etc/istio/config/mesh"] = plan.File{Mode: 0o644, Owner: plan.Root, Content: []byte("edited\n")}
		},
		"drifted-hosts-file": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Files[plan.HostsFile] = plan.File{Mode: 0o644, Owner: plan.Root, Content: []byte("127.0.0.1 localhost\n192.0.2.7 printer")}
		},
		"wrong-mode": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			file := h.State.Files[plan.SlotA.TokenFile()]
			file.Mode = 0o444
			h.State.Files[plan.SlotA.TokenFile()] = file
		},
		"wrong-owner": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Files[slot+"/etc"] = plan.File{Mode: fs.ModeDir | 0o755, Owner: plan.Proxy}
		},
		"unit-stopped":   func(h *plantest.Host, _ *hawserv1.DesiredState) { h.State.Units[plan.SlotA] = plan.Unit{} },
		"unit-not-ready": func(h *plantest.Host, _ *hawserv1.DesiredState) { notReady(h) },
		"unit-file-changed": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.UnitsStale = true
		},
		"rules-gone":    func(h *plantest.Host, _ *hawserv1.DesiredState) { h.State.Interception = plan.Interception{} },
		"rules-damaged": func(h *plantest.Host, _ *hawserv1.DesiredState) { h.State.Interception.Whole = false },
		"reboot":        reboot,
	}
}

// driftCases are what others do to a machine.
func driftCases() map[string]damage {
	slot := plan.SlotA
	mesh := slot.Directory() + "/etc/istio/config/mesh"
	mask := plan.File{Mode: fs.ModeSymlink | 0o777, Owner: plan.Root, Target: "/dev/null"}
	on := func(change func(h *plantest.Host)) damage {
		return func(h *plantest.Host, _ *hawserv1.DesiredState) { change(h) }
	}
	return map[string]damage{
		"file-deleted": on(func(h *plantest.Host) { delete(h.State.Files, mesh) }),
		"file-became-a-link": on(func(h *plantest.Host) {
			h.State.Files[mesh] = plan.File{Mode: fs.ModeSymlink | 0o777, Owner: plan.Root, Target: "/etc/passwd"}
		}),
		"file-became-a-directory": on(func(h *plantest.Host) { h.State.Files[mesh] = plan.File{Mode: fs.ModeDir | 0o755, Owner: plan.Root} }),
		"directory-became-a-link": on(func(h *plantest.Host) {
			h.State.Files[slot.Directory()+"/etc"] = plan.File{Mode: fs.ModeSymlink | 0o777, Owner: plan.Root, Target: "/tmp"}
		}),
		"account-deleted": on(func(h *plantest.Host) { h.State.Account = false }),
		"binary-deleted":  on(func(h *plantest.Host) { h.State.Versions[strings.Repeat("1", 64)] = false }),
		"unit-masked": on(func(h *plantest.Host) {
			h.State.Files[plan.UnitsDirectory+"/"+slot.Unit()] = mask
			h.State.Units[slot] = plan.Unit{}
		}),
		"unit-masked-by-its-template-until-the-next-boot": on(func(h *plantest.Host) { h.State.Files[plan.RuntimeUnit] = mask }),
		"unit-file-removed": on(func(h *plantest.Host) { h.State.UnitMissing, h.State.UnitsStale = true, true }),
		"unit-file-removed-again": on(func(h *plantest.Host) {
			h.State.UnitMissing = true
			h.State.Files[plan.RuntimeUnit] = plan.File{Mode: 0o644, Owner: plan.Root, Content: []byte("older\n")}
		}),
		"resolv-conf-rewritten": on(func(h *plantest.Host) {
			h.State.Files[plan.ResolvConfFile] = plan.File{Mode: 0o644, Owner: plan.Root, Content: h.State.Upstream}
		}),
		"hosts-edited-around-the-block": on(func(h *plantest.Host) {
			hosts := h.State.Files[plan.HostsFile]
			hosts.Content = []byte("192.0.2.1 before\n" + string(hosts.Content) + "192.0.2.2 after\n")
			h.State.Files[plan.HostsFile] = hosts
		}),
		"search-line-behind-the-block": on(func(h *plantest.Host) {
			file := h.State.Files[plan.ResolvConfFile]
			file.Content = append(file.Content, "search example.net\n"...)
			h.State.Files[plan.ResolvConfFile] = file
		}),
		"hosts-edited-within-the-block": on(func(h *plantest.Host) {
			hosts := h.State.Files[plan.HostsFile]
			hosts.Content = []byte("192.0.2.1 before\n" + strings.ReplaceAll(string(hosts.Content), "172.31.0.240", "192.0.2.9") + "192.0.2.2 after\n")
			h.State.Files[plan.HostsFile] = hosts
		}),
	}
}

// resolvedCases are those of a machine with systemd-resolved.
func resolvedCases() map[string]damage {
	return map[string]damage{
		"resolved-host-nothing-to-do": func(*plantest.Host, *hawserv1.DesiredState) {},
		"resolved-host-dns-off":       func(_ *plantest.Host, want *hawserv1.DesiredState) { want.Dns = &hawserv1.Dns{} },
		"resolved-host-new-search-domain": func(_ *plantest.Host, want *hawserv1.DesiredState) {
			want.Dns.SearchDomains = []string{"bank.svc.cluster.local", "svc.cluster.local", "cluster.local"}
		},
		"resolved-host-new-upstream-resolver": func(h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Upstream = []byte("nameserver 192.0.2.54\nsearch example.org\n")
		},
		"resolved-host-lost-its-link": func(h *plantest.Host, _ *hawserv1.DesiredState) { h.State.Lookups = plan.Lookups{} },
		"resolved-host-reboot": func(h *plantest.Host, want *hawserv1.DesiredState) {
			reboot(h, want)
			h.State.Lookups = plan.Lookups{}
		},
	}
}

func reboot(h *plantest.Host, want *hawserv1.DesiredState) {
	for path := range h.State.Files {
		if strings.HasPrefix(path, plan.RunProxyDirectory) {
			delete(h.State.Files, path)
		}
	}
	h.State.Units[plan.SlotA], h.State.Interception = plan.Unit{}, plan.Interception{}
	want.Token = nil
}

func notReady(h *plantest.Host) {
	unit := h.State.Units[plan.SlotA]
	unit.Ready = false
	h.State.Units[plan.SlotA] = unit
}

// converge takes the steps of one plan and returns them, one a line.
func converge(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) string {
	t.Helper()
	var lines strings.Builder
	seen, _ := h.Observe(context.Background(), want)
	steps := plan.Compute(want, seen)
	_ = h.Record(context.Background(), steps...)
	for _, step := range steps {
		lines.WriteString(step.String() + "\n")
		if err := h.Apply(context.Background(), step); err != nil {
			t.Fatalf("%s: %v\n%s", step, err, lines.String())
		}
	}
	return lines.String()
}

func TestCompute_FirstJoin(t *testing.T) {
	for name, h := range map[string]*plantest.Host{"first-join": plantest.New(), "resolved-host": plantest.NewResolved()} {
		t.Run(name, func(t *testing.T) {
			steps := converge(t, h, plantest.Desired())
			golden.Check(t, name+".txt", steps+"\n"+h.String())
			settled(t, h, plantest.Desired())
		})
	}
}

func TestCompute(t *testing.T) {
	for name, change := range cases() {
		t.Run(name, func(t *testing.T) { checkChange(t, name, plantest.New(), change) })
	}
	for name, change := range driftCases() {
		t.Run("drift/"+name, func(t *testing.T) { checkChange(t, "drift/"+name, plantest.New(), change) })
	}
	for name, change := range resolvedCases() {
		t.Run(name, func(t *testing.T) { checkChange(t, name, plantest.NewResolved(), change) })
	}
}

// checkChange compares what one plan does about a change to a machine that was as wanted.
func checkChange(t *testing.T, name string, h *plantest.Host, change damage) {
	want := plantest.Desired()
	converge(t, h, want)
	change(h, want)
	before := h.String()
	steps := converge(t, h, want)
	golden.Check(t, name+".txt", steps+"\n"+difference(before, h.String()))
	settled(t, h, want)
	if strings.Contains(steps, want.GetToken().GetToken()) && want.GetToken() != nil {
		t.Error("a step tells the token")
	}
}

// settled fails if one plan was not enough: each further one may restart the proxy again.
func settled(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
	t.Helper()
	if again := converge(t, h, want); again != "" {
		t.Errorf("planning again gives steps:\n%s", again)
	}
}

// difference shows the lines of the host's text that changed.
func difference(before, after string) string {
	count := map[string]int{}
	for line := range strings.Lines(before) {
		count[line]++
	}
	var added strings.Builder
	for line := range strings.Lines(after) {
		if count[line]--; count[line] < 0 {
			added.WriteString("+ " + line)
		}
	}
	var text strings.Builder
	for line := range strings.Lines(before) {
		if count[line] > 0 {
			count[line]--
			text.WriteString("- " + line)
		}
	}
	return text.String() + added.String()
}
