package agent

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/refusal"
)

// stepName is what a person calls a step, empty for those that are details of others.
func stepName(step plan.Step) string {
	switch s := step.(type) {
	case plan.CreateAccount:
		return "create the user " + plan.AccountName
	case plan.InstallVersion:
		return "fetch and install the proxy of Istio " + s.Version
	case plan.StartProxy:
		return "start the proxy"
	case plan.RestartProxy:
		return "restart the proxy: " + s.Reason
	case plan.StartBeside:
		return "start the next proxy beside the running one, and wait for it to be ready"
	case plan.DrainProxy:
		return "drain the former proxy"
	case plan.StopProxy:
		return "stop the former proxy"
	case plan.AwaitProxy:
		return "wait for the proxy to be ready"
	case plan.Intercept:
		return fmt.Sprintf("lead traffic through the proxy (%s)", s.Rules.Backend)
	case plan.ConfirmInterception:
		return "confirm that the manager and SSH are within reach"
	case plan.EndInterception:
		return "end interception"
	case plan.RouteLookups, plan.LeadLookups:
		return "lead lookups of cluster names to the proxy"
	default:
		return ""
	}
}

// failure is an error with the reason of its condition.
type failure struct {
	reason string
	err    error
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// Reason is that of the condition ConfigCurrent.
func (f *failure) Reason() string { return f.reason }

// explained finds the reason of an error of converging.
func explained(err error) error {
	if refused, ok := refusal.FromError(err); ok {
		return &failure{string(refused.Reason), err}
	}
	var glibc *host.GlibcError
	switch {
	case errors.As(err, &glibc):
		return &failure{"GlibcTooOld", err}
	case errors.Is(err, syscall.ENOSPC):
		return &failure{"NoSpace", fmt.Errorf("%w: make room on /var/lib/hawser, the agent goes on by itself", err)}
	}
	return &failure{stepReason(err), err}
}

func stepReason(err error) string {
	var failed *converge.StepError
	if !errors.As(err, &failed) {
		return "ApplyFailed"
	}
	switch failed.Step.(type) {
	case plan.CreateAccount:
		return "AccountNotCreated"
	case plan.InstallVersion:
		return "ProxyNotInstalled"
	case plan.StartProxy, plan.RestartProxy:
		return "ProxyNotStarted"
	case plan.AwaitProxy, plan.StartBeside:
		return "ProxyNotReady"
	case plan.Intercept, plan.ConfirmInterception, plan.EndInterception:
		return "InterceptionFailed"
	case plan.RouteLookups, plan.EndLookups, plan.LeadLookups:
		return "LookupsNotRouted"
	default:
		return "ApplyFailed"
	}
}
