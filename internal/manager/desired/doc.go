// Package desired decides what a machine has to be. What comes in: a snapshot of facts and one machine. What goes out: the
// machine's DesiredState, or the problem that stands in its way, with the next step. It is a pure function: same facts, same bytes, on
// every replica. It must not do I/O, look at a clock, or know how its result is delivered; the machine's Istio token is not its
// business either.
package desired
