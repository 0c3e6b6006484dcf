// Package record writes down what machines are: Machine.status and the machine's WorkloadEntry, both with one writer at a time. What comes
// in are the streams that this replica holds and what agents report on them; what goes out are writes to the Kubernetes API, none
// while nothing changes. A machine that is healthy here takes traffic in the mesh, so whatever is in doubt is not healthy. It sends
// nothing to machines and decides nothing about their desired state.
//
// Clones. Machines made from one disk image have one key, and each would take the other's stream. What they do not share is the agent's
// memory: each start of an agent makes an instance, which Hello names. A Hello of the same instance is an agent that lost its link and comes
// back: it replaces its former stream at once. A Hello of another one is a host that was reset, or a clone, and which of the two is told by the
// former stream alone: its agent is sent a Ping. If that is answered, two hosts are there, and the one that comes is refused (refusal.Cloned);
// if not within 3 s, or if the stream ends, the former host is gone and the new one takes its place. So a stream that only looks alive
// never turns a machine away, and a host that runs is never thrown out by its copy. If the former stream is another replica's, this one writes
// a challenge on the Machine, which that one answers when its agent has. A host that was refused stays so, by its boot ID, also while the
// machine is away: else its copy would be there first when it comes back. What this cannot tell: hosts of one snapshot of memory, which share
// instance and boot ID; and who was first, if the copy's first call is in a moment when the machine is away.
package record
