package record

import (
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
)

// Reasons of the conditions that the manager tells itself.
const (
	reasonConnected  = "Connected"
	reasonApplied    = "Applied"
	reasonApplying   = "Applying"
	reasonDraining   = "Draining"
	reasonPassing    = "Passing"
	reasonHealthy    = "Healthy"
	reasonUnhealthy  = "Unhealthy"
	reasonNotReady   = "ProxyNotReady"
	reasonNoAddress  = "NoAddress"
	reasonNoGroup    = "GroupNotFound"
	reasonEntryTaken = "EntryTaken"
	reasonRevoked    = "Revoked"
	reasonStreamLost = "StreamLost"
	// reasonManagerLost: the replica that held the stream is gone, and the agent has not come to another one.
	reasonManagerLost = "ManagerLost"
	reasonReady       = "Ready"
	reasonUnreported  = "Unreported"
	reasonContested   = "Contested"
)

const messageRevoked = "the machine was revoked"

// warnings are the conditions that are bad when they are true.
func warnings() []string {
	return []string{v1alpha1.ConditionRestartRequired, v1alpha1.ConditionDrifted}
}

// conditions are all of the machine's; existing ones are what is written.
func (c circumstances) conditions(existing []meta.Condition) []meta.Condition {
	list := []meta.Condition{{Type: v1alpha1.ConditionConnected, Status: meta.ConditionTrue, Reason: reasonConnected}}
	for _, kind := range []string{v1alpha1.ConditionProxyReady, v1alpha1.ConditionIdentityValid, v1alpha1.ConditionIntercepting} {
		if told, ok := c.told(kind); ok {
			list = append(list, told)
		} else if apimeta.FindStatusCondition(existing, kind) == nil {
			list = append(list, meta.Condition{Type: kind, Status: meta.ConditionUnknown, Reason: reasonUnreported, Message: "the agent has not told yet"})
		}
	}
	// Agents of earlier versions do not tell these, and nothing is amiss then.
	for _, kind := range warnings() {
		if told, ok := c.told(kind); ok {
			list = append(list, told)
		}
	}
	current, healthy := c.configCurrent(existing), c.healthy()
	return append(list, current, healthy, ready(current, healthy))
}

// configCurrent is the manager's own finding where it has one, and the agent's where that says more. An earlier finding, of another replica
// perhaps, holds until there is one.
func (c circumstances) configCurrent(existing []meta.Condition) meta.Condition {
	if earlier := apimeta.FindStatusCondition(existing, v1alpha1.ConditionConfigCurrent); earlier != nil && c.decision == nil {
		return *earlier
	}
	told, ok := c.told(v1alpha1.ConditionConfigCurrent)
	current := meta.Condition{Type: v1alpha1.ConditionConfigCurrent, Status: meta.ConditionFalse}
	switch d := c.decision; {
	case d == nil:
		current.Status, current.Reason, current.Message = meta.ConditionUnknown, reasonUnreported, "the desired state is being made"
	case d.Problem != nil:
		current.Reason, current.Message = reasonText(d.Problem.Reason), cut(d.Problem.Error(), maxMessage)
	case c.report.GetAppliedGeneration() == d.Generation:
		current.Status, current.Reason = meta.ConditionTrue, reasonApplied
		if ok && told.Status == meta.ConditionTrue {
			current.Reason, current.Message = told.Reason, told.Message
		}
	case ok && told.Status == meta.ConditionFalse:
		return told
	default:
		current.Reason, current.Message = reasonApplying, "the newest desired state is not applied yet"
	}
	return current
}

// healthy decides whether the machine takes traffic.
func (c circumstances) healthy() meta.Condition {
	no := func(reason, message string) meta.Condition {
		return meta.Condition{Type: v1alpha1.ConditionHealthy, Status: meta.ConditionFalse, Reason: reason, Message: cut(message, maxMessage)}
	}
	switch {
	case c.group == nil:
		return no(reasonNoGroup, "the WorkloadGroup does not exist")
	case c.entryTaken:
		return no(reasonEntryTaken, "the WorkloadEntry of the machine's name is not Hawser's: rename or delete it")
	case c.report.GetDraining():
		return no(reasonDraining, "the machine is about to stop, reboot or leave")
	case !c.report.GetProxy().GetReady():
		return no(reasonNotReady, orElse(c.report.GetUnhealthyReason(), "the proxy is not ready"))
	case !c.report.GetHealthy():
		return no(reasonUnhealthy, orElse(c.report.GetUnhealthyReason(), "the agent says so without a reason"))
	case c.address == "" && c.policy.AddressCIDR != "":
		return no(reasonNoAddress, "the host has no address in "+c.policy.AddressCIDR+", which its MachinePolicy asks for")
	case c.address == "":
		return no(reasonNoAddress, "the host has no address that others could reach it by")
	}
	return meta.Condition{Type: v1alpha1.ConditionHealthy, Status: meta.ConditionTrue, Reason: reasonHealthy}
}

func ready(parts ...meta.Condition) meta.Condition {
	for _, part := range parts {
		if part.Status != meta.ConditionTrue {
			return meta.Condition{Type: v1alpha1.ConditionReady, Status: meta.ConditionFalse, Reason: part.Reason, Message: part.Message}
		}
	}
	return meta.Condition{Type: v1alpha1.ConditionReady, Status: meta.ConditionTrue, Reason: reasonReady}
}

// told returns the agent's condition of a type, made fit for the API.
func (c circumstances) told(kind string) (meta.Condition, bool) {
	for _, told := range c.report.GetConditions() {
		if told.GetType() == kind {
			return fit(told), true
		}
	}
	return meta.Condition{}, false
}

func fit(told *hawserv1.Condition) meta.Condition {
	status := meta.ConditionStatus(told.GetStatus())
	if status != meta.ConditionTrue && status != meta.ConditionFalse {
		status = meta.ConditionUnknown
	}
	return meta.Condition{Type: told.GetType(), Status: status, Reason: reasonText(told.GetReason()), Message: cut(told.GetMessage(), maxMessage)}
}

// reasonText makes a text fit for metav1.Condition.reason: ^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$. A regular expression would have to be compiled
// for each condition of each machine.
func reasonText(text string) string {
	fits := text != "" && len(text) <= maxText && letter(text[0]) && !strings.HasSuffix(text, ",") && !strings.HasSuffix(text, ":")
	for _, c := range []byte(text) {
		fits = fits && (letter(c) || '0' <= c && c <= '9' || c == '_' || c == ',' || c == ':')
	}
	if !fits {
		return "Unspecified"
	}
	return text
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// cut shortens a text to at most n bytes of valid UTF-8.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n-len("…")] + "…"
	}
	return strings.ToValidUTF8(text, "")
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func groupOf(machine *v1alpha1.Machine) types.NamespacedName {
	return types.NamespacedName{Namespace: machine.Namespace, Name: machine.Spec.Group}
}
