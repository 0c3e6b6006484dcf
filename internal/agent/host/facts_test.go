package host

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/ledger"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/preflight"
)

// directory and text are files of a world.
func directory(path string) worldFile { return worldFile{path: path, mode: fs.ModeDir | 0o755} }

func text(path, content string) worldFile {
	return worldFile{path: path, mode: 0o644, content: content}
}

func TestFacts(t *testing.T) {
	const header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	envoy := text("/proc/net/tcp", header+"   0: 00000000:3A99 00000000:0000 0A 0:0 0:0 0 1337 0 11 1\n")
	proc := []worldFile{directory("/proc"), directory("/proc/net"), envoy}
	// resolv.conf as systemd-resolved wants it.
	stub := []worldFile{
		directory("/run/systemd"), directory("/run/systemd/resolve"), text("/run/systemd/resolve/stub-resolv.conf", "nameserver 127.0.0.53\n"),
		text("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n"),
		{path: "/etc/resolv.conf", mode: fs.ModeSymlink, content: "../run/systemd/resolve/stub-resolv.conf"},
	}
	for _, c := range []struct {
		name   string
		files  []worldFile
		before func(m *fakeMachine, h *Host) error
		check  func(f preflight.Facts) bool
	}{
		{name: "ordinary", check: func(f preflight.Facts) bool {
			return !f.Systemd && f.UnitTemplate && f.AccountName == "" && f.AccountNumber == -1 && f.GroupNumber == -1 && f.FreeBytes > 0 &&
				f.Glibc == "" && f.Resolver == "plain" && len(f.Listeners) == 0 && len(f.Istio) == 0 && len(f.ReadOnly) == 0 && f.RulesDenied == ""
		}},
		{name: "no unit template", before: func(m *fakeMachine, _ *Host) error {
			m.remove("/usr/lib/systemd/system/hawser-proxy@.service")
			return nil
		}, check: func(f preflight.Facts) bool { return !f.UnitTemplate }},
		{name: "unit template", files: []worldFile{text("/etc/systemd/system/hawser-proxy@.service", "")}, check: func(f preflight.Facts) bool { return f.UnitTemplate }},
		{name: "number taken", files: []worldFile{text("/etc/passwd", "postgres:x:1337:1337::/:/bin/sh\n"), text("/etc/group", "db:x:1337:\n")}, check: func(f preflight.Facts) bool {
			return f.AccountName == "postgres" && f.GroupName == "db" && f.AccountNumber == -1
		}},
		{name: "port in use", files: proc, check: func(f preflight.Facts) bool { return len(f.Listeners) == 1 && f.Listeners[0].Port == 15001 }},
		{name: "port in use by a proxy that a join has started", files: proc, before: func(_ *fakeMachine, h *Host) error {
			return h.ledger.Record(ledger.Record{Kind: ledger.Unit, Name: plan.SlotA.Unit()})
		}, check: func(f preflight.Facts) bool { return len(f.Listeners) == 0 }},
		{name: "no nameserver", files: []worldFile{text("/etc/resolv.conf", "search example.com\n")}, check: func(f preflight.Facts) bool { return f.Resolver == "" }},
		{name: "systemd-resolved by a link", files: stub, check: func(f preflight.Facts) bool { return f.Resolver == "systemd-resolved" }},
		{name: "systemd-resolved by its address", files: []worldFile{text("/etc/resolv.conf", "nameserver 127.0.0.53\n")}, check: func(f preflight.Facts) bool { return f.Resolver == "systemd-resolved" }},
		{name: "Istio of somebody's", files: []worldFile{text("/etc/systemd/system/istio.service", "")}, before: func(m *fakeMachine, _ *Host) error {
			m.rules.Backends = []plan.Backend{plan.NFTables}
			return nil
		}, check: func(f preflight.Facts) bool {
			return slices.Equal(f.Istio, []string{"/etc/systemd/system/istio.service", "traffic rules of Istio's (nftables)"})
		}},
		{name: "rules of Hawser's own", before: func(m *fakeMachine, h *Host) error {
			m.rules.Backends = []plan.Backend{plan.NFTables}
			return h.ledger.Record(ledger.Record{Kind: ledger.Rules, Name: "nftables"})
		}, check: func(f preflight.Facts) bool { return len(f.Istio) == 0 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, c.files...)
			h := m.host()
			if c.before != nil {
				if err := c.before(m, h); err != nil {
					t.Fatal(err)
				}
			}
			before := m.text()
			facts, err := h.Facts(t.Context())
			if err != nil || !c.check(facts) {
				t.Errorf("facts %+v, %v", facts, err)
			}
			if after := m.text(); after != before {
				t.Errorf("looking changed the host:\n%s", after)
			}
		})
	}
}

func TestFactsOfABrokenHost(t *testing.T) {
	m := newMachine(t)
	m.remove("/etc/group")
	if _, err := m.host().Facts(t.Context()); err == nil || !strings.Contains(err.Error(), "look at the host") || !strings.Contains(err.Error(), "/etc/group") {
		t.Errorf("facts: %v", err)
	}
}

func TestObserveResolver(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    []worldFile
		kind     plan.ResolverKind
		upstream string
	}{
		{"plain", nil, plan.Plain, "search example.com\nnameserver 192.0.2.53\n"},
		{"plain with a block", []worldFile{text("/etc/resolv.conf", "nameserver 192.0.2.53\n# Hawser: begin\nsearch a\n# Hawser: end\n")}, plan.Plain, "nameserver 192.0.2.53\n"},
		{"systemd-resolved", []worldFile{
			directory("/run/systemd"), directory("/run/systemd/resolve"), text("/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.99\n"),
			text("/etc/resolv.conf", "nameserver 127.0.0.53\n"),
		}, plan.Resolved, "nameserver 192.0.2.99\n"},
		{"systemd-resolved that has written nothing yet", []worldFile{text("/etc/resolv.conf", "nameserver 127.0.0.53\n")}, plan.Resolved, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen, err := newMachine(t, c.files...).host().Observe(t.Context(), desired())
			if err != nil || seen.Resolver != c.kind || string(seen.Upstream) != c.upstream {
				t.Errorf("resolver %s, upstream %q, %v, want %s, %q", seen.Resolver, seen.Upstream, err, c.kind, c.upstream)
			}
		})
	}
}
