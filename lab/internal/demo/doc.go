// Package demo is the demonstration: the manifests of its namespaces, and which of its services run on which machine and
// how they are installed there.
//
// In come an image's reference and a way to run commands on machines; out come manifests, and machines on which the
// services run as systemd units. The package must not know how machines join the mesh: a machine with its service is as
// it was before Hawser.
package demo
