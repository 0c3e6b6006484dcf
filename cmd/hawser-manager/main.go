// Command hawser-manager makes machines members of an Istio mesh: it runs in the cluster, beside istiod.
package main

import (
	"os"

	"github.com/hawser-io/hawser/internal/manager"
)

func main() { os.Exit(manager.Main()) }
