// Package store keeps what the agent must remember over restarts: who the machine is (key, certificate, the manager's
// certificates, where the manager is) and the last desired state. In come values to keep, out come the same values or
// an error that names the file. Every file is replaced atomically, so that a crash at any moment leaves the old content
// or the new one.
//
// It knows nothing of the host beyond its own directory: what was changed there is the ledger's business.
package store
