// Package mesh puts Istio into the lab's cluster, from Istio's own charts, with the gateway through which machines reach it.
//
// In come a client of the cluster and the source of the Istio module; out come istiod, the injector, the east-west
// gateway and its configuration. The package must not know of machines, and nothing outside of it knows how the
// charts are set.
package mesh
