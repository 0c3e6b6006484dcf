package unit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hawser-io/hawser/internal/agent/host/command/commandtest"
	"github.com/hawser-io/hawser/internal/agent/host/unit"
)

// fakeSystemd keeps units as systemctl(1) shows them.
type fakeSystemd struct {
	*testing.T
	proc  string
	units map[string]*fakeUnit
	// pid of the last process.
	pid int
}

type fakeUnit struct {
	active string
	pid    int
	stale  bool
	result string
	// broken units cannot be started; canceled: a stop was under way when it was started.
	broken, canceled bool
	// stopping are the states that it is seen in next.
	stopping []string
}

func newSystemd(t *testing.T, units map[string]*fakeUnit) *fakeSystemd {
	return &fakeSystemd{T: t, proc: t.TempDir(), units: units, pid: 100}
}

func (s *fakeSystemd) systemd() *unit.Systemd {
	return unit.New(commandtest.Programs{"systemctl": s.systemctl}, s.proc)
}

func (s *fakeSystemd) systemctl(args []string, _ string) (string, error) {
	switch args[0] {
	case "--version":
		return "systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT\n", nil
	case "daemon-reload":
		for _, u := range s.units {
			u.stale = false
		}
		return "", nil
	case "show":
		var blocks []string
		for _, name := range args[2:] {
			blocks = append(blocks, s.show(name))
		}
		return strings.Join(blocks, "\n"), nil
	}
	u := s.units[args[1]]
	switch {
	case u == nil:
		return "", &commandtest.Exit{Code: 5, Complaint: "Unit " + args[1] + " not loaded."}
	case args[0] == "stop":
		u.canceled = u.active == "deactivating"
		u.active, u.pid = "inactive", 0
	case args[0] == "reset-failed":
		u.result = "success"
	case u.broken:
		u.active, u.result = "failed", "exit-code"
		return "", &commandtest.Exit{Code: 1, Complaint: "Job for " + args[1] + " failed."}
	default:
		s.pid++
		u.canceled = u.canceled || u.active == "deactivating"
		u.active, u.pid = "active", s.pid
		s.process(s.pid, "STAMP=1\x00EMPTY=\x00broken\x00")
	}
	return "", nil
}

func (s *fakeSystemd) show(name string) string {
	u := s.units[name]
	if u == nil {
		u = &fakeUnit{active: "inactive", result: "success"}
	}
	if len(u.stopping) > 0 {
		u.active, u.stopping = u.stopping[0], u.stopping[1:]
	}
	stale := map[bool]string{true: "yes", false: "no"}[u.stale]
	return fmt.Sprintf("MainPID=%d\nResult=%s\nId=%s\nActiveState=%s\nNeedDaemonReload=%s\n", u.pid, u.result, name, u.active, stale)
}

func (s *fakeSystemd) process(pid int, environment string) {
	s.Helper()
	directory := filepath.Join(s.proc, strconv.Itoa(pid))
	if err := errors.Join(os.MkdirAll(directory, 0o755), os.WriteFile(filepath.Join(directory, "environ"), []byte(environment), 0o600)); err != nil {
		s.Fatal(err)
	}
}

// text is each unit's state.
func (s *fakeSystemd) text() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.units)) {
		u := s.units[name]
		fmt.Fprintf(&text, "%s %s %d %s\n", name, u.active, u.pid, u.result)
	}
	return text.String()
}

func TestStates(t *testing.T) {
	s := newSystemd(t, map[string]*fakeUnit{
		"a.service": {active: "active", pid: 7, result: "success"},
		"b.service": {active: "activating", result: "exit-code", stale: true},
		"c.service": {active: "failed", pid: 7, result: "timeout"},
		"d.service": {active: "reloading", pid: 8, result: "success"},
	})
	s.process(7, "STAMP=a b=c\x00EMPTY=\x00broken\x00")
	got, err := s.systemd().States(t.Context(), "a.service", "b.service", "c.service", "d.service", "none.timer")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]unit.State{
		"a.service":  {Active: true, Result: "success", PID: 7, Environment: map[string]string{"STAMP": "a b=c", "EMPTY": ""}},
		"b.service":  {Active: true, Stale: true, Result: "exit-code"},
		"c.service":  {Result: "timeout"},
		"d.service":  {Active: true, Result: "success", PID: 8},
		"none.timer": {Result: "success"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestControl(t *testing.T) {
	s := newSystemd(t, map[string]*fakeUnit{"a.service": {active: "inactive", result: "success", stale: true}})
	systemd := s.systemd()
	for _, step := range []struct {
		name string
		do   func() error
		want string
	}{
		{"start", func() error { return systemd.Start(t.Context(), "a.service") }, "a.service active 101 success\n"},
		{"restart", func() error { return systemd.Restart(t.Context(), "a.service") }, "a.service active 102 success\n"},
		{"stop", func() error { return systemd.Stop(t.Context(), "a.service") }, "a.service inactive 0 success\n"},
		{"stop again", func() error { return systemd.Stop(t.Context(), "a.service") }, "a.service inactive 0 success\n"},
		{"stop another that there is none of", func() error { return systemd.Stop(t.Context(), "none.service") }, "a.service inactive 0 success\n"},
		{"reload", func() error { return systemd.Reload(t.Context()) }, "a.service inactive 0 success\n"},
	} {
		if err := step.do(); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if got := s.text(); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
	if s.units["a.service"].stale {
		t.Error("systemd has not read the units again")
	}
}

// Who stops a unit that has to run is not told that the stop was canceled: it is started when it has stopped.
func TestStartWaitsForAStop(t *testing.T) {
	for _, after := range []string{"inactive", "activating"} {
		synctest.Test(t, func(t *testing.T) {
			stopping := &fakeUnit{active: "deactivating", result: "success", stopping: []string{"deactivating", "deactivating", after}}
			s := newSystemd(t, map[string]*fakeUnit{"a.service": stopping})
			if err := s.systemd().Start(t.Context(), "a.service"); err != nil {
				t.Fatal(err)
			}
			if stopping.canceled || stopping.active != "active" {
				t.Errorf("%+v, want one that stopped and was started", stopping)
			}
			stopping.active = "deactivating"
			if err := s.systemd().Start(t.Context(), "a.service"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("one that never stops: %v", err)
			}
		})
	}
}

func TestFailedStartSaysWhereToLook(t *testing.T) {
	s := newSystemd(t, map[string]*fakeUnit{"a.service": {active: "inactive", broken: true}})
	err := s.systemd().Start(t.Context(), "a.service")
	if err == nil || !strings.Contains(err.Error(), "Job for a.service failed.") || !strings.Contains(err.Error(), "journalctl -u a.service") {
		t.Errorf("start: %v", err)
	}
	s.systemd().Forget(t.Context(), "a.service")
	if got, want := s.text(), "a.service failed 0 success\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestVersion(t *testing.T) {
	if got := newSystemd(t, nil).systemd().Version(t.Context()); got != 252 {
		t.Errorf("version %d", got)
	}
	for _, out := range []string{"", "systemd\n", "systemd next (next)\n"} {
		programs := commandtest.Programs{"systemctl": func([]string, string) (string, error) { return out, nil }}
		if got := unit.New(programs, "").Version(t.Context()); got != 0 {
			t.Errorf("version %d of %q", got, out)
		}
	}
}

func TestHostWithoutSystemd(t *testing.T) {
	systemd := unit.New(commandtest.Programs{}, t.TempDir())
	if got := systemd.Version(t.Context()); got != 0 {
		t.Errorf("version %d", got)
	}
	for name, err := range map[string]error{"stop": systemd.Stop(t.Context(), "a.service"), "reload": systemd.Reload(t.Context())} {
		if !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("%s: %v, want one that tells that there is no systemctl", name, err)
		}
	}
}
