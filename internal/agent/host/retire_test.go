package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// next is the desired state with another version of the proxy.
func next() *hawserv1.DesiredState {
	want := desired()
	want.Generation, want.Proxy.ImageDigest = "2", "sha256:"+strings.Repeat("2", 64)
	return want
}

// TestAFormerProxyIsStopped when it has drained: not before its listeners are closed and counted, and not later than its connections' time allows.
func TestAFormerProxyIsStopped(t *testing.T) {
	const closes, retireTime = 5 * time.Second, time.Minute
	for name, c := range map[string]struct {
		silent bool
		open   int
		// after is the time since it was told.
		after   time.Duration
		stopped bool
	}{
		"its listeners are open":       {after: closes - time.Second},
		"its listeners have just gone": {after: closes + flushTime - time.Millisecond},
		"nobody is left":               {after: closes + flushTime, stopped: true},
		"somebody is left":             {open: 1, after: closes + retireTime - time.Millisecond},
		"somebody is left for too long": {
			open: 1, after: closes + retireTime, stopped: true,
		},
		"it cannot be told": {silent: true, open: 1, stopped: true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.up = time.Hour
			m.converge()
			m.silent, m.open = c.silent, c.open
			m.become(next())
			m.up += c.after
			m.become(next())
			_, runs := m.running[plan.SlotA.Unit()]
			if runs == c.stopped {
				t.Errorf("it runs: %v", runs)
			}
			if _, serves := m.running[plan.SlotB.Unit()]; !serves {
				t.Error("no proxy serves")
			}
		})
	}
}

// A proxy that was started anew in the slot does not drain, whatever is noted of the one before.
func TestANoteOfAnotherProcessIsNotHeeded(t *testing.T) {
	m := newMachine(t)
	m.converge()
	m.open = 1
	m.become(next())
	if err := os.WriteFile(m.path(plan.SlotA.DrainMarker()), []byte("1 0 0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	steps := m.become(next())
	if !slices.Equal(steps, []string{"drain proxy in slot a"}) {
		t.Errorf("steps: %q", steps)
	}
}

// TestASwapKilledAnywhere crashes before every third change of the file system: what goes on completes the swap, to the same host, and restoring undoes it all.
func TestASwapKilledAnywhere(t *testing.T) {
	underAgentsUmask(t)
	before, swapped := "", ""
	in := func(test func(m *fakeMachine)) {
		m := newMachine(t)
		defer m.owners.Close()
		if before == "" {
			before = m.text()
		}
		m.converge()
		test(m)
	}
	finish := func(m *fakeMachine) string {
		m.become(next())
		m.up += time.Hour
		m.become(next())
		return slots(m)
	}
	in(func(m *fakeMachine) { swapped = finish(m) })
	for n, cut := 0, "none"; cut != ""; n += 3 {
		in(func(m *fakeMachine) {
			cut = m.crashAt(n, func() { m.become(next()) })
			if len(m.running) == 0 {
				t.Fatalf("cut off before %q, no proxy runs", cut)
			}
			if got := finish(m); got != swapped {
				t.Fatalf("cut off before %q, finished:\n%s\nwant\n%s", cut, got, swapped)
			}
			m.restore()
			m.want(before, "swap cut off before %q, restored", cut)
		})
	}
}

// slots is which proxy runs, and of what version.
func slots(m *fakeMachine) string {
	var text strings.Builder
	for _, slot := range []plan.Slot{plan.SlotA, plan.SlotB} {
		target, _ := os.Readlink(m.path(slot.Link()))
		_, runs := m.running[slot.Unit()]
		fmt.Fprintf(&text, "%s: %.20s runs=%v\n", slot, target, runs)
	}
	current, _ := os.Readlink(m.path(plan.CurrentLink))
	return text.String() + "current " + current + ", leading " + m.leading
}

// A swap has connections go from the former proxy's listeners to the next one's. Leaving puts the kernel's setting back; one that nobody may change stops no swap.
func TestASwapHasListenersInherit(t *testing.T) {
	for name, before := range map[string]string{"not set": "0\n", "set already": "1\n"} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.setting(before)
			m.converge()
			m.become(next())
			if got := strings.TrimSpace(m.read(plan.MigrateRequestsSetting)); got != "1" {
				t.Errorf("after a swap %q", got)
			}
			m.restore()
			if got := m.read(plan.MigrateRequestsSetting); strings.TrimSpace(got) != strings.TrimSpace(before) {
				t.Errorf("after leaving %q", got)
			}
		})
	}
	m := newMachine(t)
	if err := os.MkdirAll(m.path(plan.MigrateRequestsSetting), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.host().migrateRequests(); err != nil {
		t.Error(err)
	}
}

// setting gives the machine's kernel the setting by which listeners inherit.
func (m *fakeMachine) setting(value string) {
	m.Helper()
	at := m.path(plan.MigrateRequestsSetting)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(value), 0o644)); err != nil {
		m.Fatal(err)
	}
}
