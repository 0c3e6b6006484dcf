// Package sandbox is the fence around the lab: one process tree in its own PID, mount, network, UTS, IPC and cgroup
// namespaces, with a supervisor inside and a unix socket through which the host talks to it.
//
// In come a layout (directories, addresses) and components to keep running; out come their states and the socket's API.
// Killing the first process of the sandbox, by whatever means, ends every process, mount, network namespace, bridge and
// rule of the lab, as they live in namespaces that only the lab holds. On the host there is nothing but one
// veth, cgroup directories of one name, the run directory and the state directory. The package must not know what the
// components are.
package sandbox
