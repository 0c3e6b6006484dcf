package sandbox

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Hold ends a component's process, which is not started again until Release, and returns when it has ended.
func (s *Supervisor) Hold(ctx context.Context, name string) error {
	entry, err := s.find(name)
	if err != nil {
		return err
	}
	entry.mu.Lock()
	if entry.held == nil {
		entry.held = make(chan struct{})
	}
	if entry.endRun != nil {
		entry.endRun()
	}
	entry.mu.Unlock()
	return entry.await(ctx, func(status ComponentStatus) bool { return status.State == Stopped })
}

// Release lets a held component run again and returns when it is ready.
func (s *Supervisor) Release(ctx context.Context, name string) error {
	entry, err := s.find(name)
	if err != nil {
		return err
	}
	entry.mu.Lock()
	if entry.held != nil {
		close(entry.held)
		entry.held = nil
	}
	entry.mu.Unlock()
	return entry.await(ctx, func(status ComponentStatus) bool { return status.State == Ready })
}

func (s *Supervisor) find(name string) (*supervised, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, entry := range s.running {
		if entry.component.Name == name {
			return entry, nil
		}
		names = append(names, entry.component.Name)
	}
	return nil, &RequestError{Message: fmt.Sprintf("there is no component %s; there are: %s", name, strings.Join(names, ", "))}
}

// begin returns the context of the next process, or the channel that a held component waits for.
func (e *supervised) begin(ctx context.Context) (run context.Context, held <-chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held != nil {
		return nil, e.held
	}
	run, e.endRun = context.WithCancel(ctx)
	return run, nil
}

func (e *supervised) isHeld() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held != nil
}

// await polls the status, as it changes rarely and nobody else waits for it.
func (e *supervised) await(ctx context.Context, is func(ComponentStatus) bool) error {
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		e.mu.Lock()
		status := e.status
		e.mu.Unlock()
		if is(status) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is still %s: %w", e.component.Name, status.State, ctx.Err())
		}
	}
}
