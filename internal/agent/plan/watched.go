package plan

import (
	"path"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Files by which accounts of the host are known.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// Watched are the paths whose change is a reason to look at the host again: what a plan looks at, and what that depends on.
func Watched(want *hawserv1.DesiredState, have Observed) []string {
	paths := append(Paths(), have.Real...)
	paths = append(paths, passwdFile, groupFile, packagedUnit)
	version := VersionDirectory(Digest(want))
	paths = append(paths, version)
	for _, file := range want.GetProxy().GetFiles() {
		paths = append(paths, path.Join(version, file.GetPath()))
	}
	return paths
}
