// Package version tells which build of Hawser a binary is. It must not depend on anything of the project.
package version

import (
	"runtime"
	"runtime/debug"
)

// version is set by the linker (-X); a plain `go build` leaves it empty.
var version string

// Info describes a build. It is printed by the `version` commands and sent to the manager.
type Info struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Get returns the build that is running.
func Get() Info {
	info := Info{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info.Version == "" {
		info.Version = "0.0.0-source"
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			info.Revision = setting.Value
		}
	}
	return info
}
