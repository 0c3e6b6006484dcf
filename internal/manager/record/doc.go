// Package record writes down what machines are: Machine.status and the machine's WorkloadEntry, both with one writer at a time. What comes
// in are the streams that this replica holds and what agents report on them; what goes out are writes to the Kubernetes API, none
// while nothing changes. A machine that is healthy here takes traffic in the mesh, so whatever is in doubt is not healthy. It sends
// nothing to machines and decides nothing about their desired state.
package record
