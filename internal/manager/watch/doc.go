// Package watch turns informers into facts. What comes in: Istio's configuration and revision tags, WorkloadGroups, MachinePolicies,
// Machines, namespaces, root certificates and gateways, from the Kubernetes API; the addresses that gateway host names resolve to; and
// proxies' files, from the bundle store. What goes out: an immutable facts.Facts, and a wake-up when it changed. It does not
// know what its facts are for, and writes nothing.
package watch
