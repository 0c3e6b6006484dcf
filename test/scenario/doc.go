// Package scenario runs the command line against a real kube-apiserver, with scripts that say what a user types and sees. They
// need the tag apiserver; `make apiserver` runs them. It holds tests only and must not be imported.
package scenario
