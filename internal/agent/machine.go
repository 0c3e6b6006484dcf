package agent

import (
	"context"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// Machine is the host as the daemon works on it.
type Machine interface {
	Convergent
	// Restore puts the host back as it was before the machine joined. It needs no network; repeating it is fine.
	Restore(ctx context.Context) error
	// Token returns the Istio token that the host holds, nil if none.
	Token() *hawserv1.IstioToken
}

// Convergent is a host that becomes what is desired.
type Convergent interface {
	// Converge makes the host as want says. A host that is as wanted is not touched. An error with a method Reason() string
	// names its condition's reason.
	Converge(ctx context.Context, want *hawserv1.DesiredState, tell Teller) error
	// Look tells what the host is, and changes nothing; an error like that of Converge.
	Look(ctx context.Context, want *hawserv1.DesiredState, tell Teller) error
}

// Teller hears what converging finds and does.
type Teller interface {
	// Found tells what the host is: at first, and again after each round of changes. A host that could not be looked at is not
	// told of, as nothing is known of it then.
	Found(Outcome)
	// Changes tells a change when it begins and again when it ends.
	Changes(report.Step)
	// Repaired tells a thing that others had changed and that is put right.
	Repaired(thing string)
	// Contested tells, at the end, which things are left alone; none at all is news, too.
	Contested([]report.Contested)
}

// Outcome is what a host is.
type Outcome struct {
	// Proxy as far as it is settled by converging; its readiness is watched apart.
	Proxy        report.Proxy
	Interception report.Interception
	DNS          report.DNS
	// Watched are the paths whose change is a reason to converge again.
	Watched []string
	// Former: the proxy goes to where its control plane was, and may do so again for as long as it remembers.
	Former bool
}
