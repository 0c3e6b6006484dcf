// Package machine runs the lab's machines: real systemd, booted by systemd-nspawn from a shared root file system, each
// with a disk, a machine id and a network namespace of its own.
//
// In come names and options; out come running machines, their state, and commands that run inside them. All that must
// outlive the process is on disk, one folder for each machine. What a machine's processes need of the kernel (mounts,
// cgroups, the process tree) is made when it starts and gone when it has stopped. The package expects to be in the
// lab's own mount and process namespaces, must not touch the host's, and knows nothing of Kubernetes or of Hawser.
package machine
