package cli

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/lab/internal/api"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

func TestPrintReport(t *testing.T) {
	var out bytes.Buffer
	a := &app{layout: sandbox.DefaultLayout(), out: &out}
	err := a.printReport(api.Report{
		Phase: sandbox.Failed, Reason: "no luck",
		Components: []sandbox.ComponentStatus{{Name: "etcd", State: sandbox.Waiting, Since: time.Now(), Restarts: 2, LastExit: "signal: killed"}},
		Gateway:    []netip.Addr{netip.MustParseAddr("172.31.0.240")},
		Leftovers:  []string{"link hawser-lab0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"The lab is failed.", "Reason: no luck", "link hawser-lab0", "etcd       waiting  0s     2         signal: killed",
		"Gateway: [172.31.0.240]", "Kubeconfig: /var/lib/hawser-lab/kubeconfig",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, out.String())
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown part":    {[]string{"up", "--without", "brain"}, "only demo and machines"},
		"unknown output":  {[]string{"status", "-o", "xml"}, "only json"},
		"cp without NAME": {[]string{"vm", "cp", "/etc/hosts", "/root"}, "NAME:PATH"},
		"both directions": {[]string{"link", "cut", "x", "--from", "--to"}, "give neither"},
		"unknown command": {[]string{"fly"}, "unknown command"},
	} {
		t.Run(name, func(t *testing.T) {
			layout := sandbox.DefaultLayout()
			layout.RunDir = t.TempDir()
			cmd := NewCommand(layout, 0, &bytes.Buffer{}, &bytes.Buffer{})
			cmd.SetArgs(test.args)
			if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error is %v, want %q", err, test.want)
			}
		})
	}
}
