package metrics

import (
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// statuses that a condition can have, as kube-state-metrics writes them.
var statuses = [...]string{"true", "false", "unknown"}

// Page is what Prometheus reads of a status and of the process that has it. What is not known has no sample.
func Page(status local.Status, process Process) string {
	t := &text{}
	t.machine(status)
	t.connection(status.Facts.Connection)
	t.conditions(status.Conditions)
	t.certificates(status.Facts.Certificates)
	t.traffic(status)
	t.configuration(status.Facts.Configuration)
	t.process(process)
	return t.String()
}

func (t *text) machine(status local.Status) {
	info := t.family("hawser_agent_info", gauge, "The machine and its versions; always 1.")
	info(1,
		"namespace", status.Machine.Namespace, "machine", status.Machine.Name, "group", status.Machine.Group, "version", status.Agent,
		"revision", status.Facts.Configuration.Revision, "proxy_version", status.Facts.Proxy.Version)
}

func (t *text) connection(c report.Connection) {
	t.family("hawser_agent_connected", gauge, "1 while the agent holds a stream to a manager, else 0.")(truth(c.Up))
	if !c.Since.IsZero() {
		t.family("hawser_agent_connection_changed_timestamp_seconds", gauge, "Since when hawser_agent_connected has been what it is.")(seconds(c.Since))
	}
}

func (t *text) conditions(conditions []local.Condition) {
	sample := t.family("hawser_agent_condition", gauge, "1 for the status that a condition of the machine has, 0 for the other two.")
	for _, condition := range conditions {
		for _, status := range statuses {
			sample(truth(strings.EqualFold(condition.Status, status)), "condition", condition.Type, "status", status)
		}
	}
	sample = t.family("hawser_agent_condition_changed_timestamp_seconds", gauge, "Since when a condition has had its status.")
	for _, condition := range conditions {
		sample(seconds(condition.LastTransition), "condition", condition.Type)
	}
}

func (t *text) certificates(c report.Certificates) {
	sample := t.family("hawser_agent_certificate_expiration_timestamp_seconds", gauge,
		"When the agent's or the proxy's certificate expires.")
	for _, one := range []struct {
		name string
		end  time.Time
	}{{"agent", c.Agent.NotAfter}, {"proxy", c.Proxy.NotAfter}} {
		if !one.end.IsZero() {
			sample(seconds(one.end), "certificate", one.name)
		}
	}
	if !c.IstioToken.NotAfter.IsZero() {
		t.family("hawser_agent_istio_token_expiration_timestamp_seconds", gauge,
			"When the token expires by which the proxy gets its first certificate.")(seconds(c.IstioToken.NotAfter))
	}
}

func (t *text) traffic(status local.Status) {
	facts := status.Facts
	t.family("hawser_agent_proxy_ready", gauge, "1 while the proxy says that it can take traffic, else 0.")(truth(facts.Proxy.Ready))
	t.family("hawser_agent_application_ready", gauge, "1 while the group's probe succeeds or there is none, else 0.")(
		truth(!facts.Application.Probed || facts.Application.Ready))
	t.family("hawser_agent_healthy", gauge, "1 while the machine can take traffic, as far as the agent can tell, else 0.")(truth(status.Healthy))
	t.family("hawser_agent_draining", gauge, "1 while callers are told to turn elsewhere, as the machine stops or leaves, else 0.")(truth(facts.Draining))
}

func (t *text) configuration(c report.Configuration) {
	t.family("hawser_agent_converge_failed", gauge, "1 while the newest desired state could not be applied, else 0.")(
		truth(c.Desired != "" && c.Failed == c.Desired))
	var began, ended time.Time
	failed := 0
	for _, step := range c.Steps {
		if began.IsZero() {
			began = step.Started
		}
		if step.Finished.After(ended) {
			ended = step.Finished
		}
		if step.Error != "" {
			failed++
		}
	}
	steps := t.family("hawser_agent_converge_last_steps", gauge, "Changes to the host in the last application that made any, by result.")
	steps(float64(len(c.Steps)-failed), "result", "ok")
	steps(float64(failed), "result", "error")
	if !ended.IsZero() {
		t.family("hawser_agent_converge_last_change_timestamp_seconds", gauge, "When the agent last changed the host.")(seconds(ended))
		t.family("hawser_agent_converge_last_duration_seconds", gauge, "How long the last application that changed the host took.")(
			ended.Sub(began).Seconds())
	}
}

func (t *text) process(p Process) {
	t.family("process_resident_memory_bytes", gauge, "Resident memory size in bytes.")(float64(p.ResidentMemory))
	t.family("process_cpu_seconds_total", counter, "Total user and system CPU time spent in seconds.")(p.CPU.Seconds())
	t.family("process_start_time_seconds", gauge, "Start time of the process since unix epoch in seconds.")(seconds(p.Started))
}
