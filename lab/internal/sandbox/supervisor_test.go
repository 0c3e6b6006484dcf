package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLauncher starts processes that live until they are told to end; it prints what happened as text.
type fakeLauncher struct {
	mu      sync.Mutex
	began   time.Time
	events  []string
	running map[string]*fakeProcess
	next    int
	// stubborn processes ignore all but a kill.
	stubborn bool
}

var _ launcher = (*fakeLauncher)(nil)

func (f *fakeLauncher) Launch(component Component, _ io.Writer) (process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	p := &fakeProcess{launcher: f, name: component.Name, pid: f.next, ended: make(chan error, 1)}
	f.running[component.Name] = p
	f.note("start " + component.Name)
	return p, nil
}

func (f *fakeLauncher) note(event string) {
	f.events = append(f.events, fmt.Sprintf("%s %s", time.Since(f.began).Round(time.Millisecond), event))
}

func (f *fakeLauncher) crash(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note("crash " + name)
	f.running[name].ended <- errors.New("crashed")
}

func (f *fakeLauncher) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.events, "\n")
}

type fakeProcess struct {
	launcher *fakeLauncher
	name     string
	pid      int
	ended    chan error
}

func (p *fakeProcess) PID() int    { return p.pid }
func (p *fakeProcess) Wait() error { return <-p.ended }
func (p *fakeProcess) Signal(s os.Signal) error {
	p.launcher.mu.Lock()
	defer p.launcher.mu.Unlock()
	p.launcher.note(fmt.Sprintf("%s gets %s", p.name, s))
	if s == syscall.SIGKILL || !p.launcher.stubborn {
		p.ended <- nil
	}
	return nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func newTestSupervisor() (*Supervisor, *fakeLauncher) {
	fake := &fakeLauncher{began: time.Now(), running: map[string]*fakeProcess{}}
	return &Supervisor{
		launcher: fake,
		openLog:  func(string) (io.WriteCloser, error) { return nopCloser{io.Discard}, nil },
		log:      slog.New(slog.DiscardHandler),
	}, fake
}

func expect(t *testing.T, fake *fakeLauncher, want ...string) {
	t.Helper()
	if got := fake.String(); got != strings.Join(want, "\n") {
		t.Errorf("events:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestRestartsBackOffUntilSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supervisor, fake := newTestSupervisor()
		if err := supervisor.Start(t.Context(), Component{Name: "db"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			fake.crash("db")
			time.Sleep(time.Second)
		}
		time.Sleep(settled)
		fake.crash("db")
		time.Sleep(time.Second)
		if status := supervisor.Status()[0]; status.Restarts != 3 || status.State != Ready || status.LastExit != "crashed" {
			t.Errorf("status is %+v", status)
		}
		supervisor.Stop()
		expect(t, fake,
			"0s start db", "0s crash db", "200ms start db",
			"1s crash db", "1.4s start db",
			"32s crash db", "32.2s start db",
			"33s db gets terminated")
	})
}

func TestStartWaitsForReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supervisor, _ := newTestSupervisor()
		defer supervisor.Stop()
		began := time.Now()
		err := supervisor.Start(t.Context(), Component{Name: "slow", Ready: func(context.Context) error {
			if time.Since(began) < 3*time.Second {
				return errors.New("not yet")
			}
			return nil
		}})
		if err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("returned %v after %s", err, time.Since(began))
		}
	})
}

func TestStartGivesUpButKeepsTrying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supervisor, _ := newTestSupervisor()
		defer supervisor.Stop()
		never := func(context.Context) error { return errors.New("never") }
		err := supervisor.Start(t.Context(), Component{Name: "dead", Ready: never})
		if err == nil || !strings.Contains(err.Error(), "hawser-lab logs dead") {
			t.Errorf("error is %v", err)
		}
		if status := supervisor.Status()[0]; status.State != Starting || status.PID == 0 {
			t.Errorf("status is %+v", status)
		}
	})
}

func TestStopIsInReverseAndKillsTheStubborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supervisor, fake := newTestSupervisor()
		for _, name := range []string{"first", "second"} {
			if err := supervisor.Start(t.Context(), Component{Name: name}); err != nil {
				t.Fatal(err)
			}
		}
		fake.stubborn = true
		supervisor.Stop()
		expect(t, fake,
			"0s start first", "0s start second",
			"0s second gets terminated", "5s second gets killed",
			"5s first gets terminated", "10s first gets killed")
		stopped := func(status ComponentStatus) bool { return status.State == Stopped && status.PID == 0 }
		if all := supervisor.Status(); !stopped(all[0]) || !stopped(all[1]) {
			t.Errorf("status is %+v", all)
		}
	})
}

func TestProgressKeepsOrderAndOutcome(t *testing.T) {
	progress := NewProgress()
	broken := errors.New("broken")
	_ = progress.Step(t.Context(), "one", func(context.Context) error { return nil })
	if err := progress.Step(t.Context(), "two", func(context.Context) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
	progress.Finish(broken)
	steps, phase, reason := progress.Snapshot()
	names := []string{steps[0].Name + steps[0].Error, steps[1].Name + " " + steps[1].Error}
	if !slices.Equal(names, []string{"one", "two broken"}) || phase != Failed || reason != "broken" {
		t.Errorf("steps %v, phase %s, reason %q", names, phase, reason)
	}
}

// What is held stays away, and is stopped with the rest.
func TestHeldComponentStaysAwayUntilReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		supervisor, fake := newTestSupervisor()
		if err := supervisor.Start(t.Context(), Component{Name: "db"}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := supervisor.Hold(t.Context(), "db"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		}
		if status := supervisor.Status()[0]; status.State != Stopped || status.PID != 0 || status.Restarts != 0 {
			t.Errorf("status is %+v", status)
		}
		if err := supervisor.Release(t.Context(), "db"); err != nil {
			t.Error(err)
		}
		if err := supervisor.Hold(t.Context(), "db"); err != nil {
			t.Error(err)
		}
		if err := supervisor.Hold(t.Context(), "web"); err == nil || !strings.Contains(err.Error(), "there are: db") {
			t.Errorf("another one: %v", err)
		}
		supervisor.Stop()
		expect(t, fake, "0s start db", "0s db gets terminated", "2m0.05s start db", "2m0.1s db gets terminated")
	})
}
