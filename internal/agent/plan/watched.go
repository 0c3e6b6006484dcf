package plan

import (
	"path"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Files by which accounts of the host are known, and the unit of both slots as the package brings it.
const (
	passwdFile   = "/etc/passwd"
	groupFile    = "/etc/group"
	unitTemplate = "hawser-proxy@.service"
	packagedUnit = "/usr/lib/systemd/system/" + unitTemplate
)

// Watched are the paths whose change is a reason to look at the host again: what a plan looks at, and what that depends on.
func Watched(want *hawserv1.DesiredState, have Observed) []string {
	paths := append(Paths(), have.Real...)
	paths = append(paths, passwdFile, groupFile, packagedUnit)
	// A mask is a link in the place of the unit (systemctl(1), mask).
	for _, name := range []string{unitTemplate, SlotA.Unit(), SlotB.Unit()} {
		paths = append(paths, path.Join(UnitsDirectory, name))
	}
	version := VersionDirectory(Digest(want))
	paths = append(paths, version)
	for _, file := range want.GetProxy().GetFiles() {
		paths = append(paths, path.Join(version, file.GetPath()))
	}
	return paths
}
