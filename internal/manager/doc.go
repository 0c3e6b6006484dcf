// Package manager puts the manager together: watch → desired → publish → record, enrollment, confinement, and the servers that they are
// reached by. What comes in are options and a Kubernetes API server; it runs until its context ends. There is no decision here beyond
// what starts and stops in which order, and which parts run on the leader alone.
package manager
