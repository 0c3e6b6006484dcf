package agent

import (
	"context"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// Machine is the host as the daemon works on it.
type Machine interface {
	// Converge makes the host as want says and returns what it is then, also beside an error as far as it got. Each change is
	// told when it begins and again when it ends. A host that is as wanted is not touched. An error with a method
	// Reason() string names its condition's reason.
	Converge(ctx context.Context, want *hawserv1.DesiredState, tell func(report.Step)) (Outcome, error)
	// Restore puts the host back as it was before the machine joined. It needs no network; repeating it is fine.
	Restore(ctx context.Context) error
	// Token returns the Istio token that the host holds, nil if none.
	Token() *hawserv1.IstioToken
}

// Outcome is what a host is after Converge.
type Outcome struct {
	// Proxy as far as it is settled by converging; its readiness is watched apart.
	Proxy        report.Proxy
	Interception report.Interception
	DNS          report.DNS
}
