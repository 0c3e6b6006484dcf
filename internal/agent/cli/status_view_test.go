package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/refusal"
)

// now is the real time, since conditions are judged by it; the views show ages only.
var now = time.Now().Truncate(time.Second)

func healthyFacts() report.Facts {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	generation := "4f1c2a9b0d3e5f60718293a4b5c6d7e8f9012345678901234567890123456789"
	return report.Facts{
		Connection:    report.Connection{Up: true, Peer: "172.31.0.240:15012", Since: ago(3*time.Hour + 12*time.Minute)},
		Configuration: report.Configuration{Desired: generation, Applied: generation, Revision: "default"},
		Proxy:         report.Proxy{Version: "1.31.0", Slot: "a", Ready: true},
		Interception:  report.Interception{Wanted: true, Active: true, Backend: "nftables"},
		DNS:           report.DNS{Way: "redirect"},
		Application:   report.Application{Probed: true, Ready: true},
		Certificates: report.Certificates{
			// Dated back by their issuers, by 5 and by 2 minutes.
			Agent:      report.Validity{Obtained: ago(3 * time.Hour), NotBefore: ago(3*time.Hour + 5*time.Minute), NotAfter: now.Add(21 * time.Hour)},
			Proxy:      report.Validity{Obtained: ago(4 * time.Second), NotBefore: ago(2*time.Minute + 4*time.Second), NotAfter: now.Add(24*time.Hour - 4*time.Second)},
			IstioToken: report.Validity{NotAfter: now.Add(90 * time.Minute)},
		},
		Address: "172.31.0.11", Addresses: []string{"172.31.0.11", "fd00::11"},
	}
}

func describe(facts report.Facts) local.Status {
	board := report.NewBoard(time.Now)
	board.Update(func(f *report.Facts) { *f = facts })
	judged := board.Report()
	for _, condition := range judged.GetConditions() {
		condition.LastTransition = now.Add(-95 * time.Second).Unix()
	}
	status := local.Describe(facts, judged)
	status.Manager = "gateway.example:15012"
	status.Machine = local.Machine{Namespace: "shop", Name: "ratings-vm-1", Group: "ratings"}
	return status
}

func TestStatusViews(t *testing.T) {
	for name, change := range map[string]func(*report.Facts){
		"healthy": func(*report.Facts) {},
		"fresh": func(f *report.Facts) {
			*f = report.Facts{Connection: report.Connection{Error: "gateway.example:15012 refuses connections: check that the gateway runs and that its port is open: `kubectl get svc -A -l istio=eastwestgateway`"}}
		},
		"joining": func(f *report.Facts) {
			certificates, steps := f.Certificates, []report.Step{
				{Name: "create the user istio-proxy", Started: now, Finished: now},
				{Name: "fetch and install the proxy of Istio 1.31.0", Started: now},
			}
			*f = report.Facts{Connection: f.Connection, Configuration: f.Configuration, Interception: report.Interception{Wanted: true}, Address: f.Address, Addresses: f.Addresses}
			f.Configuration.Applied, f.Configuration.Steps = "", steps
			f.Certificates.Agent, f.Certificates.IstioToken = certificates.Agent, certificates.IstioToken
			f.Connection.Since, f.Certificates.Agent.Obtained = now.Add(-2*time.Second), now.Add(-2*time.Second)
		},
		"drained": func(f *report.Facts) { f.Draining = true },
		"revoked": func(f *report.Facts) {
			refused := refusal.New(refusal.MachineRevoked, "machine", "shop/ratings-vm-1", "delete", "kubectl delete machine ratings-vm-1 -n shop")
			f.Connection = report.Connection{Since: now.Add(-12 * time.Minute), Error: refused.Error(), Reason: string(refused.Reason)}
		},
		"passing": func(f *report.Facts) {
			f.Proxy.Ready, f.Proxy.Message = false, "it does not answer on 127.0.0.1:15020"
			f.Interception = report.Interception{Wanted: true, Passing: true}
		},
		"upgraded": func(f *report.Facts) {
			f.Proxy.Slot, f.Proxy.Retiring = "b", "a"
			f.Proxy.Gaps = "the kernel has no net.ipv4.tcp_migrate_req (Linux 5.14): a connection that comes in the moment in which the former proxy closes its listeners is reset"
		},
		"disconnected": func(f *report.Facts) {
			f.Connection = report.Connection{Since: now.Add(-7 * time.Second), Error: "172.31.0.240:15012 does not answer: check the address, and that firewalls let this host reach it"}
		},
		"certificate-without-a-time": func(f *report.Facts) { f.Certificates.Proxy.Obtained = time.Time{} },
		"another-port":               func(f *report.Facts) { f.Connection.Peer = "172.31.0.240:443" },
		"application-down": func(f *report.Facts) {
			f.Application.Ready, f.Application.Message = false, "GET http://127.0.0.1:9080/health: connection refused"
		},
		"apply-failed": func(f *report.Facts) {
			f.Configuration.Desired = "9d3e5f60718293a4b5c6d7e8f9012345678901234567890123456789aabbccdd"
			f.Configuration.Failed, f.Configuration.Reason = f.Configuration.Desired, "NoSpace"
			f.Configuration.Message = "the proxy 1.31.1 needs 112 MB on /var/lib/hawser and 40 MB are free: make room there, the agent tries again by itself"
		},
		"offline-and-expired": func(f *report.Facts) {
			f.Connection = report.Connection{Since: now.Add(-50 * time.Hour), Error: "this host has no way to gateway.example:15012: check its network (`ip route`), and the address"}
			f.Certificates.Agent = report.Validity{Obtained: now.Add(-50 * time.Hour), NotBefore: now.Add(-50*time.Hour - 5*time.Minute), NotAfter: now.Add(-26 * time.Hour)}
			f.Certificates.IstioToken.NotAfter = now.Add(-26 * time.Hour)
			f.DNS.Way = "systemd-resolved"
			f.Interception = report.Interception{}
			f.Application = report.Application{}
			f.Notices = []report.Notice{{Reason: "NoProbe", Message: "the WorkloadGroup has no probe: the machine takes traffic as soon as its proxy is ready"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			facts := healthyFacts()
			change(&facts)
			var out bytes.Buffer
			if err := writeStatus(&out, describe(facts), now, false); err != nil {
				t.Fatal(err)
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if utf8.RuneCountInString(line) > width || strings.TrimRight(line, " ") != line {
					t.Errorf("%q is longer than %d columns or ends in blanks", line, width)
				}
			}
			golden.Check(t, "status-"+name+".txt", out.String())
		})
	}
}

func TestSignsAreColouredOnTerminalsOnly(t *testing.T) {
	for _, coloured := range []bool{false, true} {
		var out bytes.Buffer
		if err := writeStatus(&out, describe(healthyFacts()), now, coloured); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "\x1b[32m✓\x1b[0m"); got != coloured {
			t.Errorf("coloured %v: escape sequences %v", coloured, got)
		}
	}
}
