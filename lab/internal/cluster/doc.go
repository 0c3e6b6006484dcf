// Package cluster is a single-node Kubernetes: certificates, the control plane, containerd, the kubelet, kube-proxy, the
// pods' network, CoreDNS, and the addresses of Services of type LoadBalancer.
//
// In come the paths of binaries and a state directory; out come components for the supervisor and a client of the API
// server. It runs inside the sandbox, as root. The package must not know of the mesh or of machines, and must not touch
// what is outside of the state directory and the sandbox's own /run.
package cluster
