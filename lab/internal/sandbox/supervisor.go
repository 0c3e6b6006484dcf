package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Timing of the supervisor. Restarts wait the shortest time first and twice as long each time, until a process has run for
// settled.
const (
	backoffShortest = 200 * time.Millisecond
	backoffLongest  = 5 * time.Second
	settled         = 30 * time.Second
	readyPoll       = 50 * time.Millisecond
	startDeadline   = 90 * time.Second
	stopGrace       = 5 * time.Second
)

// Supervisor keeps components running until its context ends.
type Supervisor struct {
	launcher launcher
	openLog  func(component string) (io.WriteCloser, error)
	log      *slog.Logger

	mu      sync.Mutex
	running []*supervised
}

// supervised is one component with the goroutine that keeps it.
type supervised struct {
	component Component
	stop      context.CancelFunc
	ended     chan struct{}
	ready     chan struct{}

	mu     sync.Mutex
	status ComponentStatus
	// held is closed when a component that is held may run again, nil while it is not held; endRun ends its process.
	held   chan struct{}
	endRun context.CancelFunc
}

// NewSupervisor makes a supervisor whose components log into the layout's log directory.
func NewSupervisor(layout Layout, log *slog.Logger) *Supervisor {
	return &Supervisor{
		launcher: execLauncher{},
		openLog: func(component string) (io.WriteCloser, error) {
			return os.OpenFile(layout.Log(component), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		},
		log: log,
	}
}

// Start starts a component and returns when it is ready. It is kept running until Stop, also when it was never ready. The
// context bounds the waiting only.
func (s *Supervisor) Start(ctx context.Context, component Component) error {
	log, err := s.openLog(component.Name)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", component.Name, err)
	}
	keep, stop := context.WithCancel(context.Background())
	entry := &supervised{
		component: component,
		stop:      stop,
		ended:     make(chan struct{}),
		ready:     make(chan struct{}),
		status:    ComponentStatus{Name: component.Name, State: Starting, Since: time.Now()},
	}
	s.mu.Lock()
	s.running = append(s.running, entry)
	s.mu.Unlock()
	go func() {
		defer close(entry.ended)
		defer log.Close()
		s.keep(keep, entry, log)
	}()
	select {
	case <-entry.ready:
		return nil
	case <-entry.ended:
		return fmt.Errorf("%s was stopped before it was ready", component.Name)
	case <-time.After(startDeadline):
		return fmt.Errorf("%s is not ready after %s; see `hawser-lab logs %s`", component.Name, startDeadline, component.Name)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Stop ends all components, the one started last first, and waits for them.
func (s *Supervisor) Stop() {
	s.mu.Lock()
	entries := slices.Clone(s.running)
	s.mu.Unlock()
	for _, entry := range slices.Backward(entries) {
		entry.stop()
		<-entry.ended
	}
}

// Status returns the components in the order of their start.
func (s *Supervisor) Status() []ComponentStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]ComponentStatus, 0, len(s.running))
	for _, entry := range s.running {
		entry.mu.Lock()
		all = append(all, entry.status)
		entry.mu.Unlock()
	}
	return all
}

// keep runs the component's process again and again.
func (s *Supervisor) keep(ctx context.Context, entry *supervised, log io.Writer) {
	backoff := backoffShortest
	for {
		started := time.Now()
		run, held := entry.begin(ctx)
		if held != nil {
			entry.setStopped()
			select {
			case <-held:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := s.runOnce(run, entry, log)
		entry.endRun()
		if ctx.Err() != nil {
			entry.setStopped()
			return
		}
		if entry.isHeld() {
			continue
		}
		if time.Since(started) >= settled {
			backoff = backoffShortest
		}
		s.log.Warn("component ended and is restarted", "component", entry.component.Name, "error", err, "wait", backoff)
		entry.set(func(status *ComponentStatus) {
			status.State, status.PID, status.LastExit = Waiting, 0, exitText(err)
			status.Restarts++
		})
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
		backoff = min(2*backoff, backoffLongest)
	}
}

// runOnce runs one process until it ends or the context does.
func (s *Supervisor) runOnce(ctx context.Context, entry *supervised, log io.Writer) error {
	process, err := s.launcher.Launch(entry.component, log)
	if err != nil {
		return err
	}
	entry.set(func(status *ComponentStatus) { status.State, status.PID = Starting, process.PID() })
	exited := make(chan error, 1)
	go func() { exited <- process.Wait() }()
	probing, endProbing := context.WithCancel(ctx)
	probed := make(chan struct{})
	go func() {
		defer close(probed)
		if awaitReady(probing, entry.component.Ready) {
			entry.setReady()
		}
	}()
	defer func() { endProbing(); <-probed }()
	select {
	case err := <-exited:
		return err
	case <-ctx.Done():
		return terminate(process, exited, cmp.Or(entry.component.Grace, stopGrace))
	}
}

// terminate asks a process to end, and kills it after a grace period.
func terminate(process process, exited <-chan error, grace time.Duration) error {
	if err := process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-exited:
		return err
	case <-time.After(grace):
	}
	return errors.Join(process.Signal(os.Kill), <-exited)
}

// awaitReady polls a component until it is ready; false means that the context ended before.
func awaitReady(ctx context.Context, ready func(context.Context) error) bool {
	if ready == nil {
		return true
	}
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := ready(attempt)
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return false
		}
	}
}

func (e *supervised) set(change func(*ComponentStatus)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := e.status.State
	change(&e.status)
	if e.status.State != before {
		e.status.Since = time.Now()
	}
}

func (e *supervised) setStopped() {
	e.set(func(status *ComponentStatus) { status.State, status.PID = Stopped, 0 })
}

func (e *supervised) setReady() {
	e.set(func(status *ComponentStatus) { status.State = Ready })
	select {
	case <-e.ready:
	default:
		close(e.ready)
	}
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}
