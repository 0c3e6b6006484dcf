// Package interception leads the host's traffic through the proxy, by the istio-iptables of the proxy's own version, and takes
// that back. In come flags, out come rules in the kernel, which undo themselves unless they were confirmed within the time of
// the dead man's switch. It touches no rule that is not Istio's and decides no flag.
package interception
