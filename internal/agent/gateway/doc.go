// Package gateway keeps the proxy away from a gateway that has fallen silent while another one answers. In come the gateways' addresses and the
// kernel's list of the proxy's connections, out go ends of connections and a detour for new ones: a connection to nobody would otherwise last as long
// as the kernel tries, a quarter of an hour, and new ones go there until the cluster has noticed, which for names takes istiod half a minute. It changes
// nothing of what the proxy is told, and touches nothing while there is one gateway.
package gateway
