// Package plantest is a host in memory for tests: steps change it as they would change a real one, it can be killed between any
// two of them, and it prints itself as text. It must not be used outside of tests.
package plantest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strings"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// ErrKilled is what a killed host returns.
var ErrKilled = errors.New("killed")

// Host is a machine. Its state may be changed by a test at any time, as anybody may change a real one.
type Host struct {
	State plan.Observed
	// Recorded are the steps that were made known before they were taken, Applied those that were taken.
	Recorded []string
	Applied  int
	// KillAfter is how many steps may be taken until the agent is killed; negative: any number.
	KillAfter int
}

// New returns a fresh machine with a plain resolver and nftables.
func New() *Host {
	const resolvConf = "search example.com\nnameserver 192.0.2.53\noptions timeout:1\n"
	return &Host{
		KillAfter: -1,
		State: plan.Observed{
			Address: "192.0.2.10", Backend: plan.NFTables, MigrateRequests: plan.MigratesNot, Resolver: plan.Plain, Upstream: []byte(resolvConf),
			Versions: map[string]bool{}, Identities: map[plan.Slot]string{}, Units: map[plan.Slot]plan.Unit{},
			Files: map[string]plan.File{
				plan.HostsFile:      {Mode: 0o644, Owner: plan.Root, Content: []byte("127.0.0.1 localhost\n")},
				plan.ResolvConfFile: {Mode: 0o644, Owner: plan.Root, Content: []byte(resolvConf)},
			},
		},
	}
}

// NewResolved returns a fresh machine with systemd-resolved. Its State.Upstream is what systemd-resolved has without Hawser.
func NewResolved() *Host {
	h := New()
	h.State.Resolver = plan.Resolved
	h.State.Files[plan.ResolvConfFile] = plan.File{Mode: fs.ModeSymlink | 0o777, Owner: plan.Root, Target: "../run/systemd/resolve/stub-resolv.conf"}
	return h
}

// Observe implements converge.Host.
func (h *Host) Observe(context.Context, *hawserv1.DesiredState) (plan.Observed, error) {
	seen := h.State
	if seen.Resolver == plan.Resolved {
		seen.Upstream = listed(seen.Upstream, seen.Lookups)
	}
	seen.Files, seen.Versions, seen.Units = maps.Clone(seen.Files), maps.Clone(seen.Versions), maps.Clone(seen.Units)
	return seen, nil
}

// listed is the resolv.conf of systemd-resolved: the search domains of all links are in it, those of Hawser's as well. Its server is
// not, since a resolv.conf cannot name a port (systemd, src/resolve/resolved-resolv-conf.c).
func listed(upstream []byte, lookups plan.Lookups) []byte {
	var text strings.Builder
	var domains []string
	for line := range strings.Lines(string(upstream)) {
		if found, ok := strings.CutPrefix(line, "search "); ok {
			domains = strings.Fields(found)
		} else {
			text.WriteString(line)
		}
	}
	for _, domain := range lookups.Search {
		if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	if len(domains) > 0 {
		text.WriteString("search " + strings.Join(domains, " ") + "\n")
	}
	return []byte(text.String())
}

// Record implements converge.Host.
func (h *Host) Record(_ context.Context, steps ...plan.Step) error {
	for _, step := range steps {
		h.Recorded = append(h.Recorded, step.String())
	}
	return nil
}

// Apply implements converge.Host. A step that was not recorded is refused.
func (h *Host) Apply(_ context.Context, step plan.Step) error {
	if h.KillAfter == 0 {
		return ErrKilled
	}
	h.KillAfter--
	if !slices.Contains(h.Recorded, step.String()) {
		return fmt.Errorf("%s: it was not recorded before", step)
	}
	h.Applied++
	return h.take(step)
}

func (h *Host) take(step plan.Step) error {
	s := &h.State
	switch step := step.(type) {
	case plan.CreateAccount:
		s.Account = true
	case plan.MakeDirectory:
		s.Files[step.Path] = plan.File{Mode: step.Mode | fs.ModeDir, Owner: step.Owner}
	case plan.WriteFile:
		s.Files[step.Path] = plan.File{Mode: step.Mode, Owner: step.Owner, Content: step.Content}
		s.UnitsStale = s.UnitsStale || strings.HasPrefix(step.Path, plan.UnitsDirectory) || step.Path == plan.RuntimeUnit
		s.UnitMissing = s.UnitMissing && step.Path != plan.RuntimeUnit
	case plan.Link:
		s.Files[step.Path] = plan.File{Mode: fs.ModeSymlink | 0o777, Owner: step.Owner, Target: step.Target}
	case plan.InstallVersion:
		s.Versions[step.Digest] = true
	case plan.RemoveVersion:
		delete(s.Versions, step.Digest)
	case plan.Unmask:
		delete(s.Files, step.Path)
		s.UnitsStale = true
	case plan.ForgetCertificate:
		delete(s.Identities, step.Slot)
	case plan.EndConnections:
		s.Connections = slices.DeleteFunc(slices.Clone(s.Connections), func(a netip.Addr) bool { return slices.Contains(step.Addresses, a) })
	case plan.ReloadUnits:
		s.UnitsStale = false
	case plan.StartProxy:
		return h.start(step.Slot)
	case plan.RestartProxy:
		return h.start(step.Slot)
	case plan.AwaitProxy:
		return h.await(step.Slot)
	case plan.StartBeside:
		if err := h.start(step.Slot); err != nil {
			return err
		}
		return h.await(step.Slot)
	case plan.MigrateRequests:
		s.MigrateRequests = plan.Migrates
	case plan.DrainProxy:
		unit := s.Units[step.Slot]
		unit.Draining = true
		s.Units[step.Slot] = unit
	case plan.StopProxy:
		s.Units[step.Slot] = plan.Unit{}
	default:
		return h.takeTraffic(step)
	}
	return nil
}

func (h *Host) takeTraffic(step plan.Step) error {
	s := &h.State
	switch step := step.(type) {
	case plan.Intercept:
		s.Interception = plan.Interception{Backends: []plan.Backend{step.Rules.Backend}, Applied: step.Rules.String(), Whole: true, Armed: true}
	case plan.ConfirmInterception:
		s.Interception.Armed = false
	case plan.EndInterception:
		s.Interception, s.Leading = plan.Interception{}, ""
	case plan.LeadLookups:
		if s.Leading = step.To.String(); s.Leading == (plan.Leading{}).String() {
			s.Leading = ""
		}
	case plan.RouteLookups:
		s.Lookups = step.Lookups
	case plan.EndLookups:
		s.Lookups = plan.Lookups{}
	default:
		return fmt.Errorf("step %T is of no known kind", step)
	}
	return nil
}

// start reads what the unit reads: the environment of the slot, and through its link the version.
func (h *Host) start(slot plan.Slot) error {
	if h.State.UnitsStale {
		return errors.New("systemd has not read the unit's settings")
	}
	digest := strings.TrimPrefix(h.State.Files[slot.Link()].Target, "../../versions/")
	if !h.State.Versions[digest] {
		return fmt.Errorf("no proxy at %s", slot.Link())
	}
	environment := h.State.Files[slot.Directory()+"/proxy.env"].Content
	_, rest, _ := bytes.Cut(environment, []byte(plan.VariableConfiguration+"=\""))
	stamp, _, _ := bytes.Cut(rest, []byte("\""))
	h.State.Units[slot] = plan.Unit{Active: true, Configuration: string(stamp)}
	return nil
}

func (h *Host) await(slot plan.Slot) error {
	unit := h.State.Units[slot]
	if !unit.Active {
		return errors.New("the proxy does not run")
	}
	unit.Ready = true
	h.State.Units[slot] = unit
	return nil
}

// String is the host as text: all that a test compares. Tokens are not in it.
func (h *Host) String() string {
	var text strings.Builder
	s := h.State
	fmt.Fprintf(&text, "account %t\n", s.Account)
	for _, path := range slices.Sorted(maps.Keys(s.Files)) {
		file := s.Files[path]
		fmt.Fprintf(&text, "%s %v %s", path, file.Mode, file.Owner)
		switch {
		case file.Target != "":
			fmt.Fprintf(&text, " -> %s\n", file.Target)
		case file.Mode.IsDir():
			text.WriteString("\n")
		case strings.HasSuffix(path, "istio-token"):
			fmt.Fprintf(&text, " (%d bytes)\n", len(file.Content))
		default:
			fmt.Fprintf(&text, "\n%s", indent(file.Content))
		}
	}
	for _, version := range slices.Sorted(maps.Keys(s.Versions)) {
		fmt.Fprintf(&text, "version %s whole=%t\n", version, s.Versions[version])
	}
	for _, slot := range slices.Sorted(maps.Keys(s.Units)) {
		fmt.Fprintf(&text, "unit %s active=%t ready=%t", slot.Unit(), s.Units[slot].Active, s.Units[slot].Ready)
		if s.Units[slot].Draining {
			text.WriteString(" draining")
		}
		text.WriteString("\n")
	}
	fmt.Fprintf(&text, "interception %v armed=%t whole=%t: %s\n", s.Interception.Backends, s.Interception.Armed, s.Interception.Whole, s.Interception.Applied)
	if s.Leading != "" {
		fmt.Fprintf(&text, "leading %s\n", s.Leading)
	}
	fmt.Fprintf(&text, "lookups %q: %s\n", s.Lookups.Server, strings.Join(s.Lookups.Domains(), " "))
	return text.String()
}

func indent(content []byte) string {
	var text strings.Builder
	for line := range strings.Lines(string(content)) {
		text.WriteString("    " + strings.TrimSuffix(line, "\n") + "\n")
	}
	return text.String()
}

// Desired is a desired state with all that a machine can be asked for.
func Desired() *hawserv1.DesiredState {
	return &hawserv1.DesiredState{
		Generation: "1",
		Proxy: &hawserv1.Proxy{
			Version: "1.31.0", ImageDigest: "sha256:" + strings.Repeat("1", 64), MinGlibc: "2.31",
			Files: []*hawserv1.ProxyFile{{Role: hawserv1.ProxyFile_ROLE_ENVOY, Path: "envoy", Sha256: strings.Repeat("e", 64), Size: 100, Executable: true}},
		},
		Mesh: &hawserv1.MeshConfig{
			MeshYaml:         []byte("defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\n"),
			Environment:      []*hawserv1.EnvVar{{Name: "ISTIO_METAJSON_LABELS", Value: `{"app":"ratings"}`}, {Name: "POD_NAMESPACE", Value: "shop"}, {Name: "SERVICE_ACCOUNT", Value: "ratings"}},
			RootCertificates: []byte("-----BEGIN CERTIFICATE-----\n"),
			HostAliases:      []*hawserv1.HostAlias{{Address: "172.31.0.240", Hostnames: []string{"istiod.istio-system.svc"}}},
			DiscoveryAddress: "istiod.istio-system.svc:15012",
		},
		Interception: &hawserv1.Interception{
			Mode: hawserv1.Interception_MODE_REDIRECT, InboundPorts: []string{"*"}, OutboundCidrs: []string{"*"},
			ExcludeInboundPorts: []string{"22", "15090", "15021", "15020"}, ExcludeOutboundPorts: []string{"15012"},
		},
		Dns:   &hawserv1.Dns{Enabled: true, SearchDomains: []string{"shop.svc.cluster.local", "svc.cluster.local", "cluster.local"}, Zones: []string{"cluster.local", "svc"}},
		Unit:  &hawserv1.Unit{MemoryMax: 1 << 30, OpenFiles: 65536, DrainMilliseconds: 5000, RetireMilliseconds: 60000},
		Token: &hawserv1.IstioToken{Token: "a token", Expiry: 1},
	}
}
