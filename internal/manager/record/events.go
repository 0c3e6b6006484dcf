package record

import (
	core "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// tell makes an Event of each transition that an owner asks about afterwards: connected or not, in rotation or not, configurations that could not be
// made or applied, an identity that is of no use, traffic that passes without the proxy, and what others changed on the host.
func tell(events Events, before, after *v1alpha1.Machine) {
	for _, kind := range []string{v1alpha1.ConditionConnected, v1alpha1.ConditionHealthy} {
		was := apimeta.FindStatusCondition(before.Status.Conditions, kind)
		is := apimeta.FindStatusCondition(after.Status.Conditions, kind)
		if is == nil || was != nil && was.Status == is.Status || was == nil && is.Status != meta.ConditionTrue {
			continue
		}
		if is.Status == meta.ConditionTrue {
			events.Eventf(after, nil, core.EventTypeNormal, kind, "Record", "%s", positive(kind))
		} else {
			events.Eventf(after, nil, core.EventTypeWarning, "Not"+kind, "Record", "%s: %s", is.Reason, is.Message)
		}
	}
	tellReason(events, v1alpha1.ConditionConfigCurrent, before, after, func(is *meta.Condition) bool {
		return is.Status == meta.ConditionFalse && is.Reason != reasonApplying
	})
	tellReason(events, v1alpha1.ConditionIdentityValid, before, after, func(is *meta.Condition) bool { return is.Status == meta.ConditionFalse })
	tellReason(events, v1alpha1.ConditionIntercepting, before, after, func(is *meta.Condition) bool { return is.Reason == reasonPassing })
	for _, kind := range warnings() {
		tellWarning(events, kind, before, after)
	}
}

// tellReason makes an Event of a condition's new reason, if that is worth one.
func tellReason(events Events, condition string, before, after *v1alpha1.Machine, worth func(*meta.Condition) bool) {
	is := apimeta.FindStatusCondition(after.Status.Conditions, condition)
	was := apimeta.FindStatusCondition(before.Status.Conditions, condition)
	if is != nil && worth(is) && (was == nil || was.Reason != is.Reason) {
		events.Eventf(after, nil, core.EventTypeWarning, is.Reason, "Record", "%s", is.Message)
	}
}

// tellWarning makes an Event of each change of what was repaired, is contested, or waits for a restart; that it is over is worth none.
func tellWarning(events Events, condition string, before, after *v1alpha1.Machine) {
	is := apimeta.FindStatusCondition(after.Status.Conditions, condition)
	was := apimeta.FindStatusCondition(before.Status.Conditions, condition)
	if is == nil || is.Status != meta.ConditionTrue || was != nil && was.Status == is.Status && was.Reason == is.Reason && was.Message == is.Message {
		return
	}
	kind := core.EventTypeNormal
	if is.Reason == reasonContested {
		kind = core.EventTypeWarning
	}
	reason := is.Reason
	if condition == v1alpha1.ConditionRestartRequired {
		reason = condition
	}
	events.Eventf(after, nil, kind, reason, "Record", "%s", is.Message)
}

func positive(kind string) string {
	if kind == v1alpha1.ConditionConnected {
		return "the agent is connected"
	}
	return "the machine is healthy and takes traffic"
}
