package agent

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// A drain ends when callers are served, and not before; the machine stays out of rotation.
func TestDrainWaitsForCallers(t *testing.T) {
	w := newWorld(t)
	want := state("g1")
	want.Unit = &hawserv1.Unit{DrainMilliseconds: 3600_000}
	w.manager.Desire(want)
	var open, looks atomic.Int64
	open.Store(2)
	w.serving = func() (int, error) {
		// The third look finds that the last of them has ended.
		if looks.Add(1) == 3 {
			open.Store(0)
		}
		return int(open.Load()), nil
	}
	stop := w.run()
	at := w.manager.Await(t, 0, "healthy=true")
	if err := local.NewClient(w.socket).Drain(t.Context()); err != nil {
		t.Error(err)
	}
	w.manager.Await(t, at, "healthy=false draining=true")
	if looks.Load() != 3 {
		t.Errorf("it ended after %d looks", looks.Load())
	}
	if err := local.NewClient(w.socket).Drain(t.Context()); err != nil {
		t.Errorf("the second drain: %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// Callers that never end do not hold it up for longer than the policy says; neither does a kernel that cannot tell of them.
func TestDrainEnds(t *testing.T) {
	for name, serving := range map[string]func() (int, error){
		"never-served": func() (int, error) { return 1, nil },
		"unknown":      func() (int, error) { return 0, errors.New("no inet_diag") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			want := state("g1")
			want.Unit = &hawserv1.Unit{DrainMilliseconds: 10}
			w.manager.Desire(want)
			w.serving = serving
			stop := w.run()
			w.manager.Await(t, 0, "healthy=true")
			if err := local.NewClient(w.socket).Drain(t.Context()); err != nil {
				t.Error(err)
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Without a manager callers cannot be turned away: it says so at once.
func TestDrainWithoutAManager(t *testing.T) {
	w := newWorld(t)
	w.manager.Stop(t)
	stop := w.run()
	err := local.ErrNotRunning
	for errors.Is(err, local.ErrNotRunning) {
		err = local.NewClient(w.socket).Drain(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "no connection to the manager") {
		t.Errorf("got %v", err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A proxy that is stopped by hand, or restarted, is drained first; the machine is back in rotation when the proxy is.
func TestProxyIsDrainedUntilItIsReadyAgain(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	at := w.manager.Await(t, 0, "healthy=true")
	for range 2 {
		if err := local.NewClient(w.socket).DrainProxy(t.Context()); err != nil {
			t.Error(err)
		}
		at = w.manager.Await(t, at, "healthy=false draining=true")
		w.proxyStatus.Store(http.StatusServiceUnavailable)
		w.awaitStatus("the proxy has stopped", func(s local.Status) bool { return !s.Facts.Proxy.Ready })
		w.proxyStatus.Store(http.StatusOK)
		at = w.manager.Await(t, at, "healthy=true draining=false")
	}
	// A machine that its owner has drained stays so.
	if err := local.NewClient(w.socket).Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := local.NewClient(w.socket).DrainProxy(t.Context()); err != nil {
		t.Error(err)
	}
	w.proxyStatus.Store(http.StatusServiceUnavailable)
	w.awaitStatus("the proxy has stopped", func(s local.Status) bool { return !s.Facts.Proxy.Ready })
	w.proxyStatus.Store(http.StatusOK)
	status := w.awaitStatus("it is back", func(s local.Status) bool { return s.Facts.Proxy.Ready })
	if !status.Facts.Draining {
		t.Error("it is in rotation again")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// What the agent itself does to the proxy is not held up.
func TestProxyThatTheAgentRestartsIsNotDrained(t *testing.T) {
	d := &daemon{board: report.NewBoard(time.Now)}
	d.board.Update(func(f *report.Facts) {
		f.Configuration.Steps = []report.Step{{Name: "restart the proxy", Started: time.Now()}}
	})
	if err := d.Drain(t.Context(), true); err != nil || d.board.Facts().Draining {
		t.Errorf("draining %v, %v", d.board.Facts().Draining, err)
	}
}
