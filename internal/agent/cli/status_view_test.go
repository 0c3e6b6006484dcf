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
			Agent:      report.Validity{NotBefore: ago(3 * time.Hour), NotAfter: now.Add(21 * time.Hour)},
			Proxy:      report.Validity{NotBefore: ago(5 * time.Minute), NotAfter: now.Add(24*time.Hour - 5*time.Minute)},
			IstioToken: report.Validity{NotAfter: now.Add(90 * time.Minute)},
		},
		Address: "172.31.0.11", Addresses: []string{"172.31.0.11", "fd00::11"},
	}
}

func describe(facts report.Facts) local.Status {
	board := report.NewBoard()
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
			*f = report.Facts{Connection: report.Connection{Error: "connection refused"}}
		},
		"application-down": func(f *report.Facts) {
			f.Application.Ready, f.Application.Message = false, "Get \"http://127.0.0.1:9080/health\": dial tcp 127.0.0.1:9080: connect: connection refused"
		},
		"apply-failed": func(f *report.Facts) {
			f.Configuration.Desired = "9d3e5f60718293a4b5c6d7e8f9012345678901234567890123456789aabbccdd"
			f.Configuration.Failed, f.Configuration.Reason = f.Configuration.Desired, "NoSpace"
			f.Configuration.Message = "the proxy 1.31.1 needs 112 MB on /var/lib/hawser and 40 MB are free: make room there, the agent tries again by itself"
		},
		"offline-and-expired": func(f *report.Facts) {
			f.Connection = report.Connection{Since: now.Add(-50 * time.Hour), Error: "dial tcp 172.31.0.240:15012: no route to host"}
			f.Certificates.Agent.NotAfter = now.Add(-26 * time.Hour)
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
