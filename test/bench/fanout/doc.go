// Package fanout measures how one manager serves thousands of machines. In come the built hawser-manager, a kube-apiserver and etcd, and
// a number of agents; out come figures. The manager is a process of its own, as users run it. Agents are simulated as far as a manager
// cannot tell: each has its own key, certificate, TCP connection and stream, and comes back as a real one does; it has no host. Nothing
// outlives a run. It judges nothing.
package fanout
