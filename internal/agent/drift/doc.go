// Package drift tells when something of the host that the agent keeps may have been changed by somebody else: files, by inotify(7), and
// traffic rules, by the kernel's notices about nftables (linux/netfilter/nfnetlink.h). In come the paths that matter, out come wake-ups.
//
// It must not look at what changed, let alone put it right: that is for observing and planning, for which any event is a reason to
// look at everything. Its owner looks once in a while without events too, as a kernel drops them and some changes make none.
package drift
