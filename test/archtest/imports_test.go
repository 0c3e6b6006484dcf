package archtest

import "testing"

func rules() []rule {
	cluster := []string{"k8s.io/", "sigs.k8s.io/", "istio.io/"}
	effects := []string{
		"os", "os/", "net", "net/http", "syscall", "io/ioutil", "golang.org/x/sys/", "google.golang.org/grpc", "k8s.io/client-go/",
		"sigs.k8s.io/controller-runtime/",
	}
	return []rule{
		{
			packages:   []string{"internal/agent/...", "cmd/hawser-agent"},
			forbidden:  append([]string{module + "/api/v1alpha1", module + "/internal/manager/", module + "/internal/ctl/"}, cluster...),
			transitive: true,
			reason:     "the agent is small and runs as root on the most stateful hosts: it knows the wire, not the cluster",
		},
		{
			packages:   []string{"internal/ctl/...", "cmd/hawser"},
			forbidden:  []string{module + "/internal/manager/", module + "/internal/agent/", "istio.io/", "sigs.k8s.io/controller-runtime/"},
			transitive: true,
			reason:     "the command line is a client of the API like any other: what it does, kubectl could do",
		},
		{
			packages:  []string{"internal/manager/..."},
			forbidden: []string{module + "/internal/agent/", module + "/internal/ctl/"},
			reason:    "manager and agent share the wire and nothing else",
		},
		{
			packages: []string{
				"internal/manager/facts", "internal/manager/desired", "internal/agent/plan", "internal/agent/preflight",
				"internal/jointoken", "internal/refusal",
			},
			forbidden: effects,
			reason:    "deciding is a function of its inputs, so that golden files show every case",
		},
		{
			packages:  []string{"internal/agent/plan", "internal/agent/preflight", "internal/agent/report"},
			forbidden: []string{module + "/internal/agent/"},
			reason:    "these are the vocabulary of the agent: the parts with effects import them, never the other way round",
		},
		{
			packages:  []string{"internal/agent/subscribe"},
			forbidden: []string{module + "/internal/agent/plan", module + "/internal/agent/host/", module + "/internal/agent/report"},
			reason:    "subscribe → plan → host → report: a stage does not know the ones after it",
		},
		{
			packages: []string{"internal/agent/host/..."},
			forbidden: []string{
				module + "/internal/agent/subscribe", module + "/internal/agent/report", module + "/internal/agent/local", module + "/internal/agent/dial",
				module + "/internal/agent/join", module + "/internal/agent/leave", module + "/internal/agent/cli",
			},
			reason: "subscribe → plan → host → report: the host does what a plan says, and does not care who made it or who is told",
		},
		{
			packages:  []string{"internal/identity", "internal/jointoken", "internal/refusal", "internal/version"},
			forbidden: []string{module + "/internal/manager/", module + "/internal/agent/", module + "/internal/ctl/"},
			reason:    "what manager, agent and command line share knows none of them",
		},
	}
}

func TestImportRules(t *testing.T) {
	all := listPackages(t, "./...")
	for _, r := range rules() {
		for _, broken := range r.check(all) {
			t.Error(broken)
		}
	}
}
