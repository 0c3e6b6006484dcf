// Command hawser-manager makes machines members of an Istio mesh: it runs in the cluster, beside istiod.
package main

import (
	"os"

	// The image has no certificates of its own; registries are called over TLS.
	_ "golang.org/x/crypto/x509roots/fallback"

	"github.com/hawser-io/hawser/internal/manager"
)

func main() { os.Exit(manager.Main()) }
