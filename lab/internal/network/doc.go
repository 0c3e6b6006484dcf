// Package network lays the cables of the lab's machines: a bridge with a router address in the network namespace of the
// caller, a network namespace with one interface for each machine, the rules that make the gateway the only way into the
// cluster, links that can be cut, and a small DNS resolver that stands for the resolver of a data centre.
//
// In come names and addresses of machines; out come network namespaces (as paths) and kernel state that the rules of
// this package describe completely. Everything lives in the network namespace that the process is in, so whoever ends
// that namespace ends all of it. The package must not know what a machine is or how it boots, and must not touch the
// pods' bridge.
package network
