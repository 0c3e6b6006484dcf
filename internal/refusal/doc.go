// Package refusal is what a manager says when it does not do what a machine asked: a reason that programs act on, what happened for a
// person to read, and what to do next. It goes over the wire as a gRPC status with a google.rpc.ErrorInfo, so that an agent older than
// the manager still shows the whole text. One table holds every reason that Hawser itself words. It decides nothing and does no I/O.
package refusal
