// Package store keeps what the agent must remember over restarts: who the machine is (key, certificate, the manager's
// certificates, where the manager is) and the last desired state. In come values to keep, out come the same values or
// an error that names the file. Every file is replaced atomically, so that a crash at any moment leaves the old content
// or the new one.
//
// Disks and people damage files all the same: each begins with the number of its format and a checksum. What the manager can send again
// (the desired state) is then as if it was never kept; the identity is kept twice, so that one damaged file is mended by the other; and if
// both are lost the error is *Damaged, for which there is one way out: to leave and join again.
//
// It knows nothing of the host beyond its own directory: what was changed there is the ledger's business.
package store
