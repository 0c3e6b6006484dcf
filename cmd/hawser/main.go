// Command hawser shows the machines in a mesh and lets further ones in.
package main

import (
	"os"

	"github.com/hawser-io/hawser/internal/ctl"
)

func main() { os.Exit(ctl.Main()) }
