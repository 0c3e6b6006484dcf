// Package confine keeps machines to their own namespace. What comes in: facts. What goes out: for each WorkloadGroup that has machines,
// a Sidecar that limits what they may call and an AuthorizationPolicy that limits who may call them (docs/adr/0010). Compute decides
// and is pure; Controller writes, on the leader alone, and only when something differs. It must not touch objects of others.
package confine
