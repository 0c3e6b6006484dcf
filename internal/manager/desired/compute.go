package desired

import (
	"fmt"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Result is what the facts give for a machine: exactly one of State and Problem is set.
type Result struct {
	// State without the Istio token, which is added when it is sent.
	State *hawserv1.DesiredState
	// Problem says why there is no state; a machine keeps the one that it has.
	Problem *facts.Problem
}

// Compute returns the desired state of a machine, or why there is none.
func Compute(f facts.Facts, machine facts.Machine) Result {
	state, problem := compute(f, machine)
	if problem != nil {
		return Result{Problem: problem}
	}
	state.Generation = Generation(state)
	return Result{State: state}
}

func compute(f facts.Facts, machine facts.Machine) (*hawserv1.DesiredState, *facts.Problem) {
	group, ok := f.Groups[machine.GroupKey()]
	if !ok {
		return nil, groupNotFound(machine)
	}
	revision, problem := f.RevisionOf(group)
	if problem != nil {
		return nil, problem
	}
	policy := f.PolicyOf(group.Namespace, group.Name)
	config, notices, problem := proxyConfig(f, revision, group, policy, machine)
	if problem != nil {
		return nil, problem
	}
	mesh, more, problem := meshConfig(f, revision, group, policy, machine, config)
	if problem != nil {
		return nil, problem
	}
	proxy, problem := proxyFiles(f, revision.ProxyImage(group, config.GetImage().GetImageType()), machine)
	if problem != nil {
		return nil, problem
	}
	notices = append(append(notices, more...), policy.Notices...)
	return &hawserv1.DesiredState{
		Machine:      &hawserv1.MachineRef{Namespace: machine.Namespace, Name: machine.Name, Group: machine.Group, Uid: string(machine.UID)},
		Revision:     revision.Name,
		Mesh:         mesh,
		Proxy:        proxy,
		Interception: interception(f, group, policy, config),
		Dns:          dns(f, group, policy),
		Unit:         unit(policy),
		Health:       health(group),
		Notices:      wireNotices(notices),
	}, nil
}

func groupNotFound(machine facts.Machine) *facts.Problem {
	return &facts.Problem{
		Reason:  facts.ReasonGroupNotFound,
		Message: fmt.Sprintf("machine %s belongs to WorkloadGroup %s, which does not exist", machine.NamespacedName, machine.GroupKey()),
		Next:    "create the WorkloadGroup again, or delete the Machine to make the host leave",
	}
}

func wireNotices(notices []facts.Notice) []*hawserv1.Notice {
	var wire []*hawserv1.Notice
	for _, n := range notices {
		wire = append(wire, &hawserv1.Notice{Reason: n.Reason, Message: n.Message})
	}
	return wire
}
