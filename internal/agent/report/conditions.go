package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Condition types that the agent reports, named as in hawser.io/v1alpha1. The others of a Machine (Connected, Healthy,
// Ready) are the manager's to tell.
const (
	ConfigCurrent = "ConfigCurrent"
	ProxyReady    = "ProxyReady"
	IdentityValid = "IdentityValid"
	Intercepting  = "Intercepting"
	// Drifted and RestartRequired are bad when they are true, unlike the others.
	Drifted         = "Drifted"
	RestartRequired = "RestartRequired"
)

// verdict is a condition without its time. Its message holds nothing that changes by itself, such as ages, since each
// change is sent and written.
type verdict struct{ kind, status, reason, message string }

func truth(kind string, is bool, reasonTrue, reasonFalse, message string) verdict {
	if is {
		return verdict{kind, "True", reasonTrue, ""}
	}
	return verdict{kind, "False", reasonFalse, message}
}

// judge says what facts mean at the time now.
func judge(f Facts, now time.Time) []verdict {
	return []verdict{
		configCurrent(f.Configuration), proxyReady(f.Proxy), identityValid(f.Certificates, f.Connection.Up, now), intercepting(f.Interception),
		restartRequired(f.Proxy, f.Hostname), drifted(f.Drift, now),
	}
}

// Bad reports whether a condition of this type and status is one to be told of.
func Bad(kind, status string) bool {
	return (status == "True") == (kind == Drifted || kind == RestartRequired)
}

func configCurrent(c Configuration) verdict {
	switch {
	case c.Desired == "":
		return verdict{ConfigCurrent, "Unknown", "Waiting", "the manager has not sent a desired state yet"}
	case c.Applied == c.Desired:
		return verdict{ConfigCurrent, "True", "Applied", ""}
	case c.Failed == c.Desired:
		return verdict{ConfigCurrent, "False", orElse(c.Reason, "ApplyFailed"), c.Message}
	default:
		return verdict{ConfigCurrent, "False", "Applying", "the desired state is being applied"}
	}
}

func proxyReady(p Proxy) verdict {
	if p.Slot == "" && !p.Ready {
		return verdict{ProxyReady, "False", "NotRunning", orElse(p.Message, "no proxy runs yet")}
	}
	return truth(ProxyReady, p.Ready, "Ready", "NotReady", orElse(p.Message, "the proxy has not become ready yet"))
}

func restartRequired(p Proxy, h Hostname) verdict {
	switch {
	case len(p.Outdated) == 0 && h.Now == h.Known:
		return verdict{RestartRequired, "False", "UpToDate", ""}
	case len(p.Outdated) == 0:
		return verdict{RestartRequired, "True", "HostnameChanged", fmt.Sprintf(
			"the host is called %s now, and was %s when the agent started: the machine keeps its name and its identity in the mesh; `systemctl restart hawser-agent` "+
				"has the manager know the host by its new name", h.Now, h.Known)}
	}
	reason := "SettingsChanged"
	if slices.Contains(p.Outdated, "version") {
		reason = "VersionChanged"
	}
	if p.Retiring != "" {
		return verdict{RestartRequired, "True", reason, fmt.Sprintf(
			"the proxy runs with an older %s: another one takes over when the former proxy in slot %s has ended, as it is told to", strings.Join(p.Outdated, ", "), p.Retiring)}
	}
	return verdict{RestartRequired, "True", reason, fmt.Sprintf(
		"the proxy runs with an older %s: a policy leaves its restart to you; `systemctl restart hawser-proxy@%s` on the machine drains and restarts it",
		strings.Join(p.Outdated, ", "), p.Slot)}
}

func intercepting(i Interception) verdict {
	if !i.Wanted {
		return verdict{Intercepting, "False", "ModeNone", "the desired state asks for no interception"}
	}
	if i.Passing {
		return verdict{Intercepting, "False", "Passing", "the proxy does not serve: the host's traffic passes without it, and without the mesh's encryption; " +
			"see condition ConfigCurrent for why. A policy can have it held (spec.interception.onProxyFailure)"}
	}
	return truth(Intercepting, i.Active, "Redirecting", "NotActive", orElse(i.Message, notInPlace))
}

const notInPlace = "the rules are not in place yet"

// identityValid judges by this host's clock. connected: the manager has let the machine in, and goes on checking its certificate by its own.
func identityValid(c Certificates, connected bool, now time.Time) verdict {
	expired := func(v Validity) bool { return !v.NotAfter.IsZero() && !now.Before(v.NotAfter) }
	switch {
	case c.Agent.clockWrong(connected, now):
		return verdict{IdentityValid, "False", reasonClockSkew, "this host's clock and the manager's differ: by this one the agent's certificate, which the manager takes, is not valid; set the clock (`timedatectl set-ntp true`)"}
	case expired(c.Agent):
		return verdict{IdentityValid, "False", "AgentCertificateExpired", "the agent's certificate has expired; it is renewed when the manager is reached within the policy's recovery window"}
	case expired(c.Proxy):
		return verdict{IdentityValid, "False", "ProxyCertificateExpired", "the proxy's certificate has expired; the proxy renews it as soon as istiod is reached"}
	case c.IstioToken.NotAfter.IsZero() && c.Proxy.NotAfter.IsZero():
		return verdict{IdentityValid, "Unknown", "Waiting", "there is neither an Istio token nor a proxy certificate yet"}
	case expired(c.IstioToken) && c.Proxy.NotAfter.IsZero():
		return verdict{IdentityValid, "False", "TokenExpired", "the Istio token has expired; the manager sends a fresh one as soon as it is reached"}
	default:
		return verdict{IdentityValid, "True", "Valid", ""}
	}
}

// health says whether the machine can take traffic, and if not, why.
func health(f Facts) (healthy bool, reason string) {
	switch {
	case f.Draining:
		return false, "the machine is draining"
	case !f.Proxy.Ready:
		return false, "proxy: " + orElse(f.Proxy.Message, "not ready yet")
	case f.Interception.Wanted && !f.Interception.Active:
		// Callers of the mesh speak mutual TLS, and would speak it to the application itself.
		return false, "interception: " + orElse(f.Interception.Message, notInPlace)
	case f.Application.Probed && !f.Application.Ready:
		return false, "application: " + orElse(f.Application.Message, "not ready yet")
	default:
		return true, ""
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// transitions remembers since when each condition has its status.
type transitions map[string]*hawserv1.Condition

// conditions turns verdicts into conditions; the time moves only when a status does.
func (t transitions) conditions(verdicts []verdict, now time.Time) []*hawserv1.Condition {
	var list []*hawserv1.Condition
	for _, v := range verdicts {
		next := &hawserv1.Condition{Type: v.kind, Status: v.status, Reason: v.reason, Message: v.message, LastTransition: now.Unix()}
		if last := t[v.kind]; last != nil && last.GetStatus() == v.status {
			next.LastTransition = last.GetLastTransition()
		}
		t[v.kind] = next
		list = append(list, next)
	}
	return list
}
