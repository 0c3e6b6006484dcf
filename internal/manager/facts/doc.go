// Package facts is the vocabulary of the manager: immutable values that say what is so in the cluster, and what follows from them
// at once (which revision a group follows, which policy holds for it, which image it runs). The package watch makes a Facts value
// from informers, everything else reads it. A value handed out is never changed: who wants another one makes a new one. There is
// no I/O here, no clock and no Kubernetes client.
package facts
