// Command hawser-lab runs a real Kubernetes, a real Istio and real machines in one sandbox on this host.
package main

import (
	"os"

	"github.com/hawser-io/hawser/lab/internal/cli"
)

func main() { os.Exit(cli.Main()) }
