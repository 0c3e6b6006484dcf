// Package local lets programs on the same host talk to the running agent over a root-only Unix socket: one line of JSON
// asks, lines of JSON answer. `hawser-agent status`, `join` and `leave` use it.
//
// It carries what the agent knows about itself and the wish to drain; no secret goes over it.
package local
