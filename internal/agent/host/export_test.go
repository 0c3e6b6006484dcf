package host

import (
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/host/file"
)

// NewWith is New with a writer that tells of each change before it is made.
func NewWith(options Options, files atomicfile.Writer) *Host {
	return assemble(options, file.Kernel{}, files)
}
