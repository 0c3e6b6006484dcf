// Package preflight decides whether a host can join a mesh. In come facts about the host, out come problems, each with the
// object it is about and what to do next. It is asked before anything is touched; it neither looks nor acts.
package preflight
