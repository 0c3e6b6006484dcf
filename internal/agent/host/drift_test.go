package host

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// TestDrift changes a machine as others do, and compares what converging makes of it, and what leaving does.
func TestDrift(t *testing.T) {
	mesh := plan.SlotA.Directory() + "/etc/istio/config/mesh"
	for _, c := range []struct {
		name     string
		change   func(m *fakeMachine) error
		repaired string
		// stays is a text that is there after leaving, since it is others'.
		stays string
	}{
		{"deleted", func(m *fakeMachine) error { return os.Remove(m.path(mesh)) }, mesh, ""},
		{"link", func(m *fakeMachine) error {
			return errors.Join(os.Remove(m.path(mesh)), os.Symlink("/etc/passwd", m.path(mesh)))
		}, mesh, ""},
		{"directory", func(m *fakeMachine) error {
			return errors.Join(os.Remove(m.path(mesh)), os.MkdirAll(m.path(mesh)+"/d", 0o755))
		}, mesh, ""},
		{"account", func(m *fakeMachine) error { return fakeUsers{m}.force() }, "user istio-proxy", ""},
		{"binary", func(m *fakeMachine) error {
			return os.Remove(m.path(plan.VersionDirectory(plan.Digest(desired())) + "/envoy"))
		}, "proxy files of Istio 1.31.0", ""},
		{"mask", func(m *fakeMachine) error {
			m.running = map[string]map[string]string{}
			return os.Symlink("/dev/null", m.path(plan.UnitsDirectory+"/"+plan.SlotA.Unit()))
		}, "mask " + plan.UnitsDirectory + "/" + plan.SlotA.Unit() + ", unit " + plan.SlotA.Unit(), ""},
		{"unit file", func(m *fakeMachine) error { return os.Remove(m.path(packaged)) }, plan.RuntimeUnit, ""},
		{"resolv.conf", func(m *fakeMachine) error {
			return os.WriteFile(m.path("/etc/resolv.conf"), []byte("search example.com\nnameserver 192.0.2.53\n"), 0o644)
		}, plan.ResolvConfFile, ""},
		{"hosts", func(m *fakeMachine) error {
			content, err := os.ReadFile(m.path("/etc/hosts"))
			changed := "192.0.2.1 before\n" + strings.ReplaceAll(string(content), "172.31.0.240", "192.0.2.9") + "192.0.2.2 after\n"
			return errors.Join(err, os.WriteFile(m.path("/etc/hosts"), []byte(changed), 0o644))
		}, plan.HostsFile, `"192.0.2.1 before\n127.0.0.1 localhost\n192.0.2.2 after\n"`},
		{"lines around the block", func(m *fakeMachine) error {
			content, err := os.ReadFile(m.path("/etc/hosts"))
			return errors.Join(err, os.WriteFile(m.path("/etc/hosts"), []byte("192.0.2.1 before\n"+string(content)+"192.0.2.2 after\n"), 0o644))
		}, "", `"192.0.2.1 before\n127.0.0.1 localhost\n192.0.2.2 after\n"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, directory("/run/systemd"), directory(plan.RuntimeUnits))
			before := m.text()
			h := m.host()
			converger := converge.Converger{Host: h, Contest: &converge.Contest{}}
			if _, err := converger.Converge(t.Context(), desired()); err != nil {
				t.Fatal(err)
			}
			whole := m.text()
			if err := c.change(m); err != nil {
				t.Fatal(err)
			}
			result, err := converger.Converge(t.Context(), desired())
			if err != nil {
				t.Fatal(err)
			}
			var repaired []string
			for _, taken := range result.Taken {
				if taken.Repaired != "" {
					repaired = append(repaired, taken.Repaired)
				}
			}
			if got := strings.Join(repaired, ", "); got != c.repaired {
				t.Errorf("repaired %q, want %q", got, c.repaired)
			}
			if c.stays == "" && c.name != "unit file" && m.text() != whole {
				t.Errorf("the machine is\n%s\nwant\n%s", m.text(), whole)
			}
			if err := m.host().Restore(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := before
			switch {
			case c.stays != "":
				want = strings.Replace(before, `"127.0.0.1 localhost\n"`, c.stays, 1)
			case c.name == "unit file":
				want = withoutLine(before, packaged)
			}
			if got := m.text(); got != want {
				t.Errorf("after leaving, the machine is\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func withoutLine(text, begin string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, begin) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
