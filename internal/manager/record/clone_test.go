package record_test

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
)

const challenge = "hawser.io/challenge"

func (w *world) caller() facts.Machine {
	return facts.Machine{NamespacedName: w.machine, UID: types.UID(w.uid), Group: "ratings"}
}

// looking has a replica look at the machine as a watch of its object would, until the returned function is called.
func (w *world) looking(r *record.Recorder) (end func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				r.Look(w.machine)
			}
		}
	}()
	return func() { close(done); <-ended }
}

func TestAnotherReplicaTellsWhetherItsHostIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		instance string
		ask      func(answered func())
		lost     bool
		there    bool
		at, most time.Duration
	}{
		"answers":         {instance: "one", ask: func(answered func()) { go answered() }, there: true, most: time.Second},
		"is-silent":       {instance: "one", ask: func(func()) {}, at: 3 * time.Second, most: 3 * time.Second},
		"is-lost":         {instance: "one", ask: func(func()) {}, lost: true, most: time.Second},
		"is-itself":       {instance: "other", ask: func(func()) { t.Error("asked") }},
		"knows-no-answer": {ask: func(func()) { t.Error("asked") }},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				first, second := w.replica("pod-0"), w.replica("pod-1")
				entry := w.connect(first, record.SessionID(c.instance), func(s *record.Session) { s.Ask = c.ask })
				if c.lost {
					entry.Close(false)
				}
				end := w.looking(first)
				w.api.takeWrites()
				began := time.Now()
				address, there := second.Elsewhere(w.Context(), w.caller(), "other", "boot-2")
				took := time.Since(began)
				end()
				if there != c.there || there && address != "172.31.0.11" {
					t.Errorf("there %v at %q", there, address)
				}
				if took < c.at || took > c.most {
					t.Errorf("it took %s", took)
				}
				if left, ok := w.object().Annotations[challenge]; ok {
					t.Errorf("left behind: %q", left)
				}
				if n := w.api.takeWrites(); n > 3 || c.most == 0 && n > 0 {
					t.Errorf("%d writes", n)
				}
				if !c.lost && !strings.Contains(w.api.String(), "on pod-0") {
					t.Errorf("the first host's stream is not the machine's any more:\n%s", w.api)
				}
			})
		})
	}
}

// The machine itself may be away for a moment, as while its agent is started again: its copy must not be there first.
func TestACloneIsToldOfAndStaysRefused(t *testing.T) {
	host := &hawserv1.HostFacts{BootId: "boot-2", Addresses: []string{"172.31.0.66"}}
	for name, c := range map[string]struct {
		bootID  string
		refused map[[2]string]bool
	}{
		"another-boot": {"boot-1", map[[2]string]bool{{"other", "boot-2"}: true, {"other-again", "boot-2"}: true, {"one", "boot-1"}: false, {"", ""}: false}},
		"one-kernel":   {"boot-2", map[[2]string]bool{{"other", "boot-2"}: true, {"other-again", "boot-2"}: false, {"one", "boot-2"}: false}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				r, another := w.replica("pod-0"), w.replica("pod-1")
				entry := w.connect(r, record.SessionID("one"), func(s *record.Session) { s.Host.BootId = c.bootID })
				w.api.takeWrites()
				for range 3 {
					r.Cloned(w.Context(), w.caller(), "other", host)
				}
				w.wantWrites("refusing a clone three times", 1)
				if got := strings.Join(w.api.events, "\n"); !strings.Contains(got, "Cloned") || !strings.Contains(got, "172.31.0.66") {
					t.Errorf("events:\n%s", got)
				}
				entry.Close(false)
				w.pass(time.Minute)
				for who, refused := range c.refused {
					if _, there := another.Elsewhere(w.Context(), w.caller(), who[0], who[1]); there != refused {
						t.Errorf("%v: refused %v", who, there)
					}
				}
			})
		})
	}
}
