package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/local"
)

// overwrite damages files of the store, and returns what puts them back.
func (w *world) overwrite(content string, names ...string) (restore func()) {
	w.t.Helper()
	former := map[string][]byte{}
	write := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(w.store.Directory(), name), content, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range names {
		kept, err := os.ReadFile(filepath.Join(w.store.Directory(), name))
		if err != nil {
			w.t.Fatal(err)
		}
		former[name] = kept
		write(name, []byte(content))
	}
	return func() {
		for name, content := range former {
			write(name, content)
		}
	}
}

// What is no state must not be applied as one: an empty file would ask for no proxy at all.
func TestADamagedDesiredStateIsNotAppliedAndComesAnew(t *testing.T) {
	for _, content := range []string{"", "\x00\x00\x00\x00", "hawser-agent state 2 of another time\n"} {
		w := newWorld(t)
		w.manager.Desire(state("g1"))
		stop := w.run()
		at := w.manager.Await(t, 0, `applied="g1"`)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		w.overwrite(content, "state/desired.pb")
		address := w.manager.Address
		w.manager.Stop(t)
		stop = w.run()
		w.awaitStatus("up without a state", func(s local.Status) bool { return s.Facts.Connection.Error != "" })
		if w.machine.String() != "applied=g1 token=token-g1 restored=false" {
			t.Errorf("%q: the machine became %s", content, w.machine)
		}
		w.manager.Listen(t, address)
		at = w.manager.Await(t, at, `hello shop/vm-1 generation=""`)
		w.manager.Await(t, at, `applied="g1"`)
		if kept, err := w.store.Desired(); err != nil || kept.GetGeneration() != "g1" {
			t.Errorf("%q: kept %v, %v", content, kept, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestADamagedKeyIsMendedAtTheNextStart(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	w.overwrite("", "identity/key.pem", "identity/cert.pem")
	stop := w.run()
	w.manager.Await(t, 0, `applied="g1"`)
	if content, err := os.ReadFile(filepath.Join(w.store.Directory(), "identity/key.pem")); err != nil || len(content) == 0 {
		t.Errorf("the key was not mended: %q, %v", content, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// An agent that has lost its identity says so and stays up; once the files are back it goes on.
func TestALostIdentityIsToldAndWaitedFor(t *testing.T) {
	for _, name := range []string{"agent.json", "key.pem", "ca.pem", "cert.pem"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.manager.Desire(state("g1"))
			restore := w.overwrite("\x00", "identity/"+name, "spare/"+name)
			stop := w.run()
			status := w.awaitStatus("one that says what is lost", func(s local.Status) bool { return len(s.Conditions) == 1 })
			if c := status.Conditions[0]; c.Reason != "StateDamaged" || !strings.Contains(c.Message, name) || !strings.Contains(c.Message, "`hawser-agent leave`") {
				t.Errorf("condition %+v", c)
			}
			if err := local.NewClient(w.socket).Drain(t.Context()); err == nil || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("drain: %v", err)
			}
			restore()
			w.manager.Await(t, 0, `applied="g1"`)
			if err := stop(); err != nil {
				t.Error(err)
			}
			w.overwrite("", "identity/"+name, "spare/"+name)
			stop = w.run()
			w.awaitStatus("one that says what is lost", func(s local.Status) bool { return len(s.Conditions) == 1 })
			if err := stop(); err != nil {
				t.Errorf("stopped while it waits: %v", err)
			}
		})
	}
}
