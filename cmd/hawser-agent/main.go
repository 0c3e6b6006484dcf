// Command hawser-agent makes a machine a member of an Istio mesh and keeps it one.
package main

import (
	"os"

	"github.com/hawser-io/hawser/internal/agent/cli"
)

func main() { os.Exit(cli.Main()) }
