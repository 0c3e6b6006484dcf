package plan

import (
	_ "embed"
	"io/fs"
	"path"
)

// proxyUnit is the unit of both slots, the same file that the package brings. It is written only where that one is gone.
//
//go:embed hawser-proxy@.service
var proxyUnit []byte

const (
	unitTemplate = "hawser-proxy@.service"
	packagedUnit = "/usr/lib/systemd/system/" + unitTemplate
	// RuntimeUnits is where systemd looks for units that a reboot forgets. What is in UnitsDirectory goes before it, and it goes before
	// the package's (systemd.unit(5)).
	RuntimeUnits = "/run/systemd/system"
	// RuntimeUnit takes the place of the package's file: /usr is not the agent's to write, and with the package installed
	// again the next boot has the package's.
	RuntimeUnit = RuntimeUnits + "/" + unitTemplate
	maskTarget  = "/dev/null"
)

// UnitTemplates are all places that the unit can be in, but RuntimeUnit.
func UnitTemplates() []string {
	var paths []string
	for _, directory := range []string{UnitsDirectory, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"} {
		paths = append(paths, path.Join(directory, unitTemplate))
	}
	return paths
}

// masks are where a slot's unit can be masked (systemctl(1), mask): as itself or by its template, for good or until the next boot.
func masks(slot Slot) []string {
	return []string{
		path.Join(UnitsDirectory, slot.Unit()), path.Join(RuntimeUnits, slot.Unit()),
		path.Join(UnitsDirectory, unitTemplate), RuntimeUnit,
	}
}

// IsMask reports whether a file in the place of a unit masks it (systemd.unit(5)).
func IsMask(file File) bool {
	return file.Mode&fs.ModeSymlink != 0 && file.Target == maskTarget || file.Mode.IsRegular() && len(file.Content) == 0
}

// unitFiles plans what the slot's unit consists of. A mask is taken away: this unit runs for Hawser alone, and a masked one that ends
// would leave rules that lead to no proxy. Who wants no proxy has `leave`; who masks again and again is let alone as contested.
func (p *planner) unitFiles() {
	for _, mask := range masks(p.slot) {
		if file, exists := p.have.Files[mask]; exists && IsMask(file) {
			p.add(Unmask{mask})
			p.reload = true
		}
	}
	if p.have.UnitMissing {
		p.reload = p.write(WriteFile{Path: RuntimeUnit, Mode: 0o644, Owner: Root, Content: proxyUnit}) || p.reload
	}
}
