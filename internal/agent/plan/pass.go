package plan

import hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"

// Pass returns the steps that let the host's traffic pass a proxy that does not serve, although it was given its time: rules and routed lookups end.
// There are none if nothing leads to the proxy, or a policy has the traffic held.
func Pass(want *hawserv1.DesiredState, have Observed) []Step {
	if !mayPass(want, have) {
		return nil
	}
	var steps []Step
	for _, backend := range have.Interception.Backends {
		steps = append(steps, EndInterception{backend})
	}
	if have.Lookups.Server != "" {
		steps = append(steps, EndLookups{})
	}
	return steps
}

// Passes reports whether the host's traffic passes, as its proxy does not serve.
func Passes(want *hawserv1.DesiredState, have Observed) bool {
	return mayPass(want, have) && len(have.Interception.Backends) == 0
}

func mayPass(want *hawserv1.DesiredState, have Observed) bool {
	hold := want.GetInterception().GetOnProxyFailure() == hawserv1.Interception_ON_PROXY_FAILURE_HOLD
	return intercepts(want) && !hold && !have.Units[ActiveSlot(have)].Ready
}
