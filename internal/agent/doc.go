// Package agent is the daemon on each machine. It holds the stream to the manager, keeps the host as the newest desired state
// wants it, looks after certificates, probes and addresses, and answers on a local socket. The parts are packages of their
// own below this one; here they are put together, started and stopped.
//
//	subscribe → mailbox → apply (plan, host) → report → subscribe
package agent
