package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/golden"
)

var began = time.Date(2026, 9, 1, 8, 0, 0, 500e6, time.UTC)

// statusOf is a status of a few conditions, whatever others there are by now.
func statusOf(facts report.Facts) local.Status {
	status := local.Describe(facts, &hawserv1.Report{Healthy: facts.Proxy.Ready, Conditions: []*hawserv1.Condition{
		{Type: "ConfigCurrent", Status: "True", LastTransition: began.Unix()},
		{Type: "ProxyReady", Status: "False", LastTransition: began.Unix()},
		{Type: "IdentityValid", Status: "Unknown", LastTransition: began.Unix()},
	}})
	status.Agent, status.Started = "0.1.0", began
	status.Machine = local.Machine{Namespace: "shop", Name: "vm-1", Group: "ratings", UID: "u-1"}
	return status
}

func statusesOf() map[string]local.Status {
	later := time.Date(2126, 9, 1, 8, 0, 0, 0, time.UTC)
	good := report.Facts{
		Connection: report.Connection{Up: true, Since: began},
		Configuration: report.Configuration{Desired: "g1", Applied: "g1", Revision: "1-31", Steps: []report.Step{
			{Name: "proxy 1.31.4 installed", Started: began, Finished: began.Add(2 * time.Second)},
			{Name: "proxy started", Started: began.Add(2 * time.Second), Finished: began.Add(2250 * time.Millisecond)},
		}},
		Proxy:        report.Proxy{Version: "1.31.4", Slot: "a", Ready: true},
		Interception: report.Interception{Wanted: true, Active: true},
		Application:  report.Application{Probed: true, Ready: true},
		Certificates: report.Certificates{
			Agent: report.Validity{NotAfter: later}, Proxy: report.Validity{NotAfter: later.Add(time.Hour)}, IstioToken: report.Validity{NotAfter: later},
		},
	}
	bad := good
	bad.Connection = report.Connection{Since: began, Error: "connection refused"}
	bad.Configuration = report.Configuration{Desired: "g2", Failed: "g2", Reason: "NoSpace", Steps: []report.Step{
		{Name: "proxy fetched", Started: began, Finished: began.Add(time.Second), Error: "no space"},
	}}
	bad.Proxy, bad.Application.Ready, bad.Draining = report.Proxy{}, false, true
	strange := statusOf(good)
	strange.Machine.Group = "a\\b\"c\nd\xff"
	return map[string]local.Status{"good": statusOf(good), "bad": statusOf(bad), "just-started": statusOf(report.Facts{}), "strange": strange}
}

func TestPage(t *testing.T) {
	for name, status := range statusesOf() {
		t.Run(name, func(t *testing.T) {
			page := Page(status, Process{ResidentMemory: 14 << 20, CPU: 1250 * time.Millisecond, Started: began})
			golden.Check(t, name+".txt", page)
			parser := expfmt.NewTextParser(model.UTF8Validation)
			families, err := parser.TextToMetricFamilies(strings.NewReader(page))
			if err != nil {
				t.Fatal(err)
			}
			for name, family := range families {
				if family.GetHelp() == "" || family.Type == nil {
					t.Errorf("%s has no help or no type", name)
				}
				if got := family.GetMetric(); len(got) == 0 {
					t.Errorf("%s has no samples", name)
				}
			}
			info := families["hawser_agent_info"].GetMetric()[0]
			want := strings.ToValidUTF8(status.Machine.Group, "\uFFFD")
			for _, label := range info.GetLabel() {
				if label.GetName() == "group" && label.GetValue() != want {
					t.Errorf("group %q, want %q", label.GetValue(), want)
				}
			}
		})
	}
}

func TestSelf(t *testing.T) {
	process, err := Self(began)
	if err != nil {
		t.Fatal(err)
	}
	if process.ResidentMemory < 1<<20 || process.ResidentMemory > 1<<40 || process.CPU <= 0 || !process.Started.Equal(began) {
		t.Errorf("got %+v", process)
	}
	if _, err := residentPages("12"); err == nil {
		t.Error("one field is not enough")
	}
}
