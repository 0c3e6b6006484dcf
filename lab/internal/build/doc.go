// Package build makes everything that the lab runs: Kubernetes, Istio, Helm and CoreDNS from their Go modules, Envoy
// from its wheel, root file systems from Debian.
//
// In come pinned versions and the source tree of the lab's module; out come directories in a cache outside of the
// checkout, named by the hash of all that went into them, so that a fresh clone starts from what an older one built.
// Building needs the go command, and debootstrap and pip for what is not Go. The package must not start anything and must
// not write outside of the cache.
package build
