// Package plan decides what to do to a host. In come the desired state of the machine and what was observed of the host, out
// come ordered steps, each printable as one line. Every file that a step writes is rendered here, so that golden files show
// each byte that lands on a host.
//
// It is a function of its inputs: it neither looks nor acts, and planning again after all steps were taken gives no step.
package plan
