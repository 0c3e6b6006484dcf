package plan

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// directories of one host. Only what the proxy writes belongs to it: root writes into no directory that the proxy's user could
// turn into a link to somewhere else.
func directories(slot Slot) []MakeDirectory {
	return []MakeDirectory{
		// The agent's secrets beside it are in directories of mode 0700.
		{StateDirectory, 0o711, Root},
		{ProxyDirectory, 0o755, Root},
		{VersionsDirectory, 0o755, Root},
		{SlotsDirectory, 0o755, Root},
		{slot.Directory(), 0o755, Root},
		{slot.file("etc"), 0o755, Root},
		{slot.file("etc/istio"), 0o755, Root},
		{slot.file("etc/istio/config"), 0o755, Root},
		// The bootstrap and the socket for xDS.
		{slot.file("etc/istio/proxy"), 0o700, Proxy},
		// Key and certificate, written by pilot-agent, by which it gets the next ones.
		{slot.file("etc/certs"), 0o700, Proxy},
		{slot.file("var"), 0o755, Root},
		{slot.file("var/run"), 0o755, Root},
		{slot.file("var/run/secrets"), 0o755, Root},
		{slot.file("var/run/secrets/istio"), 0o755, Root},
		// The socket for Envoy's secrets.
		{slot.file("var/run/secrets/workload-spiffe-uds"), 0o700, Proxy},
		{slot.file("var/lib"), 0o755, Root},
		{slot.file("var/lib/istio"), 0o700, Proxy},
		{RunProxyDirectory, 0o755, Root},
		{path.Dir(slot.runDirectory()), 0o755, Root},
		{slot.runDirectory(), 0o755, Root},
		{slot.TokensDirectory(), 0o700, Proxy},
		{slot.DropIn(), 0o755, Root},
	}
}

// Paths are all files, links and directories that a plan looks at.
func Paths() []string {
	paths := []string{HostsFile, ResolvConfFile, UpstreamResolvConf, CurrentLink}
	for _, slot := range []Slot{SlotA, SlotB} {
		for _, directory := range directories(slot) {
			paths = append(paths, directory.Path)
		}
		paths = append(paths,
			slot.Link(), slot.file(tokensLink), slot.TokenFile(),
			slot.file(meshFile), slot.file(rootsFile), slot.file(environmentFile), slot.dropInFile(),
			// A mask, if there is one.
			path.Join(UnitsDirectory, slot.Unit()), path.Join(RuntimeUnits, slot.Unit()))
	}
	return append(paths, RuntimeUnit, path.Join(UnitsDirectory, unitTemplate))
}

// Files of a slot.
const (
	meshFile        = "etc/istio/config/mesh"
	rootsFile       = "var/run/secrets/istio/root-cert.pem"
	environmentFile = "proxy.env"
	tokensLink      = "var/run/secrets/tokens"
)

func (s Slot) dropInFile() string { return path.Join(s.DropIn(), "50-hawser.conf") }

func (p *planner) directories() {
	for _, want := range directories(p.slot) {
		have, exists := p.have.Files[want.Path]
		if !exists || !have.Mode.IsDir() || have.Mode.Perm() != want.Mode || have.Owner != want.Owner {
			p.add(want)
		}
	}
}

func (p *planner) slotFiles() {
	mesh := p.want.GetMesh()
	p.link(p.slot.Link(), path.Join("../../versions", Digest(p.want)))
	p.write(WriteFile{Path: p.slot.file(meshFile), Mode: 0o644, Owner: Root, Content: mesh.GetMeshYaml()})
	p.write(WriteFile{Path: UpstreamResolvConf, Mode: 0o644, Owner: Root, Content: p.upstream()})
	p.write(WriteFile{Path: p.slot.file(environmentFile), Mode: 0o600, Owner: Root, Content: p.environmentFile()})
	// The proxy reads these two again whenever it needs them.
	p.write(WriteFile{Path: p.slot.file(rootsFile), Mode: 0o644, Owner: Root, Content: mesh.GetRootCertificates()})
	p.link(p.slot.file(tokensLink), p.slot.TokensDirectory())
	if token := p.want.GetToken().GetToken(); token != "" {
		p.write(WriteFile{Path: p.slot.TokenFile(), Mode: 0o400, Owner: Proxy, Content: []byte(token), Secret: true})
	}
	if p.write(WriteFile{Path: p.slot.dropInFile(), Mode: 0o644, Owner: Root, Content: dropIn(p.want.GetUnit())}) {
		p.reload = true
	}
}

// write plans a file of Hawser's own and reports whether its content changes.
func (p *planner) write(want WriteFile) bool {
	have, exists := p.have.Files[want.Path]
	same := exists && have.Mode.IsRegular() && bytes.Equal(have.Content, want.Content)
	if !same || have.Mode.Perm() != want.Mode || have.Owner != want.Owner {
		p.add(want)
	}
	return !same
}

// link plans a symbolic link.
func (p *planner) link(at, target string) {
	have, exists := p.have.Files[at]
	if !exists || have.Mode&fs.ModeSymlink == 0 || have.Target != target {
		p.add(Link{Path: at, Target: target, Owner: Root})
	}
}

// edit plans the marked block of a file that belongs to the host. A file that is not there is made for a block only.
func (p *planner) edit(file string, lines []string) {
	have, exists := p.have.Files[file]
	content := WithBlock(have.Content, lines)
	if !exists && len(lines) == 0 || exists && (bytes.Equal(content, have.Content) || holdsBlock(have.Content, lines)) {
		return
	}
	p.add(WriteFile{Path: file, Mode: 0o644, Owner: Root, Content: content, Block: true})
}

// dropIn sets of the unit what a policy may set. systemd.resource-control(5), systemd.exec(5), systemd.service(5).
func dropIn(unit *hawserv1.Unit) []byte {
	var text bytes.Buffer
	text.WriteString("[Service]\n")
	if unit.GetMemoryMax() > 0 {
		fmt.Fprintf(&text, "MemoryMax=%d\n", unit.GetMemoryMax())
	}
	if unit.GetOpenFiles() > 0 {
		fmt.Fprintf(&text, "LimitNOFILE=%d\n", unit.GetOpenFiles())
	}
	// pilot-agent ends Envoy when it has drained; beyond that it hangs.
	fmt.Fprintf(&text, "TimeoutStopSec=%d\n", drainSeconds(unit)+10)
	return text.Bytes()
}

// closeSeconds is after how long a proxy that drains closes its listeners; pilot-agent takes no 0 (istio.io/istio, pkg/config/validation/agent: ValidateDrainDuration).
func closeSeconds(unit *hawserv1.Unit) int64 { return max(drainSeconds(unit), 1) }

func drainSeconds(unit *hawserv1.Unit) int64 {
	return (unit.GetDrainMilliseconds() + 999) / 1000
}
