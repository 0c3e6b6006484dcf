package local

import (
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// DefaultSocket is where the agent listens; the directory is the service's own (RuntimeDirectory=hawser).
const DefaultSocket = "/run/hawser/agent.sock"

// Status is all that the agent says about its machine.
type Status struct {
	// Agent is the version of the running agent.
	Agent   string    `json:"agent"`
	Started time.Time `json:"started"`
	Machine Machine   `json:"machine"`
	// Manager is HOST:PORT as given to join.
	Manager string       `json:"manager"`
	Facts   report.Facts `json:"facts"`
	// Ready: connected, current, intercepting, the proxy is ready. The application is not part of it.
	Ready bool `json:"ready"`
	// Healthy: the machine takes traffic, as far as the agent can tell.
	Healthy         bool        `json:"healthy"`
	UnhealthyReason string      `json:"unhealthyReason,omitempty"`
	Conditions      []Condition `json:"conditions"`
}

// Machine names the machine in the cluster.
type Machine struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Group     string `json:"group"`
	UID       string `json:"uid"`
}

// Condition has the meaning of metav1.Condition.
type Condition struct {
	Type           string    `json:"type"`
	Status         string    `json:"status"`
	Reason         string    `json:"reason"`
	Message        string    `json:"message,omitempty"`
	LastTransition time.Time `json:"lastTransition"`
}

// Describe makes a status from facts and the report that says what they mean. The caller adds agent, machine and manager.
func Describe(facts report.Facts, judged *hawserv1.Report) Status {
	status := Status{Facts: facts, Healthy: judged.GetHealthy(), UnhealthyReason: judged.GetUnhealthyReason()}
	for _, condition := range judged.GetConditions() {
		status.Conditions = append(status.Conditions, Condition{
			Type: condition.GetType(), Status: condition.GetStatus(), Reason: condition.GetReason(), Message: condition.GetMessage(),
			LastTransition: time.Unix(condition.GetLastTransition(), 0).UTC(),
		})
	}
	current := facts.Configuration.Desired != "" && facts.Configuration.Applied == facts.Configuration.Desired
	intercepting := !facts.Interception.Wanted || facts.Interception.Active
	status.Ready = facts.Connection.Up && current && facts.Proxy.Ready && intercepting
	return status
}
