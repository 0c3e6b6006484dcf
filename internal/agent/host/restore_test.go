package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/host/ledger"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// read is a file's content.
func (m *fakeMachine) read(path string) string {
	m.Helper()
	content, err := os.ReadFile(m.path(path))
	if err != nil {
		m.Fatal(err)
	}
	return string(content)
}

// TestWhatOwnersEditedStays: between a join and a leave the host goes on living.
func TestWhatOwnersEditedStays(t *testing.T) {
	const hosts, block = "127.0.0.1 localhost\n", "# Hawser: begin\n172.31.0.240 istiod.istio-system.svc\n# Hawser: end\n"
	for _, c := range []struct{ name, before, joined, edited, left string }{
		{"nothing", hosts, hosts + block, hosts + block, hosts},
		{"line after the block", hosts, hosts + block, hosts + block + "192.0.2.1 a\n", hosts + "192.0.2.1 a\n"},
		{"line before the block", hosts, hosts + block, "192.0.2.1 a\n" + hosts + block, "192.0.2.1 a\n" + hosts},
		{"block taken out", hosts, hosts + block, hosts, hosts},
		{"all but the block taken out", hosts, hosts + block, block, ""},
		{"no newline at the end", "127.0.0.1 localhost", "127.0.0.1 localhost\n# Hawser: begin, after a newline of its own" + block[len("# Hawser: begin"):], "127.0.0.1 localhost\n", "127.0.0.1 localhost"},
		{"end of the block taken out", hosts, hosts + block, hosts + "# Hawser: begin\n192.0.2.1 a\n", hosts + "# Hawser: begin\n192.0.2.1 a\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, worldFile{path: plan.HostsFile, mode: 0o644, content: c.before})
			m.converge()
			if got := m.read(plan.HostsFile); got != c.joined {
				t.Fatalf("joined: %q, want %q", got, c.joined)
			}
			m.put(worldFile{path: plan.HostsFile, mode: 0o600, content: c.edited})
			m.restore()
			if got := m.read(plan.HostsFile); got != c.left {
				t.Errorf("left: %q, want %q", got, c.left)
			}
		})
	}
}

// stuckDetour is one that cannot be cleared the first time.
type stuckDetour struct{ tries int }

func (d *stuckDetour) Clear(context.Context) error {
	if d.tries++; d.tries == 1 {
		return errors.New("device or resource busy")
	}
	return nil
}

// A detour is in no ledger: when all else is put back, leaving again has to try again all the same.
func TestADetourThatStaysIsTriedAgain(t *testing.T) {
	m := newMachine(t)
	m.converge()
	stuck := &stuckDetour{}
	for _, want := range []string{"busy", ""} {
		h := m.host()
		h.detour = stuck
		err := h.Restore(t.Context())
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("restore: %v, want %q", err, want)
		}
	}
	if stuck.tries != 2 {
		t.Errorf("tried %d times, want twice", stuck.tries)
	}
}

func TestWhatOthersPutIntoDirectoriesStays(t *testing.T) {
	m := newMachine(t)
	m.converge()
	m.put(worldFile{path: plan.SlotA.DropIn() + "/90-mine.conf", mode: 0o644, content: "mine"})
	m.put(worldFile{path: plan.ProxyDirectory + "/core", mode: 0o600, content: "of the proxy"})
	m.restore()
	if got := m.read(plan.SlotA.DropIn() + "/90-mine.conf"); got != "mine" {
		t.Errorf("%q", got)
	}
	// What is below Hawser's own directories is Hawser's.
	if _, err := os.Stat(m.path(plan.ProxyDirectory)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", plan.ProxyDirectory, err)
	}
}

// TestFilesThatAreGoneAlready: somebody has deleted by hand what a join made.
func TestFilesThatAreGoneAlready(t *testing.T) {
	m := newMachine(t)
	before := m.text()
	m.converge()
	m.remove(plan.RunProxyDirectory, plan.ProxyDirectory, plan.SlotA.DropIn(), "/etc/passwd-")
	m.restore()
	if got := m.text(); got != before {
		t.Errorf("restored:\n%s\nwant\n%s", got, before)
	}
}

// TestAccountOfThePackageStays: it was there before the join, somebody deleted it, and the agent made it again.
func TestAccountOfThePackageStays(t *testing.T) {
	m := newMachine(t, worldFile{path: "/usr/lib/sysusers.d", mode: fs.ModeDir | 0o755}, worldFile{path: packagedAccount, mode: 0o644, content: "u istio-proxy 1337\n"})
	users := fakeUsers{m}
	if err := users.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := m.text()
	m.converge()
	if err := users.force(); err != nil {
		t.Fatal(err)
	}
	m.converge()
	m.restore()
	if got := m.text(); got != before {
		t.Errorf("restored:\n%s\nwant\n%s", got, before)
	}
}

// stubborn users cannot be removed.
type stubborn struct{ fakeUsers }

func (stubborn) Remove(context.Context) error { return errors.New("user istio-proxy is logged in") }

// TestWhatCannotBeUndoneStaysInTheLedger, and all else is undone.
func TestWhatCannotBeUndoneStaysInTheLedger(t *testing.T) {
	m := newMachine(t)
	before := m.text()
	m.converge()
	h := m.host()
	h.users = stubborn{fakeUsers{m}}
	if err := h.Restore(t.Context()); err == nil || !strings.Contains(err.Error(), "logged in") {
		t.Errorf("restore: %v", err)
	}
	if left, err := h.ledger.Records(); err != nil || len(left) != 1 || left[0].Kind != ledger.Account {
		t.Errorf("left in the ledger: %v, %v", left, err)
	}
	if got := m.read(plan.HostsFile); strings.Contains(got, "Hawser") {
		t.Errorf("hosts: %s", got)
	}
	m.restore()
	// The tools made copies once more.
	m.put(worldFile{path: "/etc/passwd-", mode: 0o600, content: "an older one\n"})
	m.remove("/etc/group-")
	if got := m.text(); got != before {
		t.Errorf("restored:\n%s\nwant\n%s", got, before)
	}
}

func TestRecordsOfOtherVersionsAreKept(t *testing.T) {
	m := newMachine(t)
	h := m.host()
	if err := h.ledger.Record(ledger.Record{Kind: "dream", Name: "of a newer agent"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Restore(t.Context()); err == nil || !strings.Contains(err.Error(), `kind "dream"`) {
			t.Errorf("restore: %v", err)
		}
	}
}

func TestRestoringAMachineThatNeverJoinedChangesNothing(t *testing.T) {
	m := newMachine(t)
	before := m.text()
	m.restore()
	if got := m.text(); got != before {
		t.Errorf("restored:\n%s\nwant\n%s", got, before)
	}
}
