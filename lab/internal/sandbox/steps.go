package sandbox

import (
	"context"
	"sync"
	"time"
)

// Step is one part of bringing the lab up.
type Step struct {
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	// Seconds is how long it took or, while it runs, has taken.
	Seconds float64 `json:"seconds"`
	Done    bool    `json:"done"`
	Error   string  `json:"error,omitempty"`
}

// Phase of the lab as a whole.
type Phase string

// A lab is Up when all steps are done; Failed keeps running, for a look at what went wrong.
const (
	ComingUp Phase = "starting"
	Up       Phase = "up"
	Failed   Phase = "failed"
)

// Progress records steps, which may run side by side, and the outcome.
type Progress struct {
	mu    sync.Mutex
	steps []*Step
	phase Phase
	err   string
}

// NewProgress starts without steps.
func NewProgress() *Progress { return &Progress{phase: ComingUp} }

// Step runs one step and records it.
func (p *Progress) Step(ctx context.Context, name string, do func(ctx context.Context) error) error {
	step := &Step{Name: name, Started: time.Now()}
	p.mu.Lock()
	p.steps = append(p.steps, step)
	p.mu.Unlock()
	err := do(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	step.Done, step.Seconds = true, time.Since(step.Started).Seconds()
	if err != nil {
		step.Error = err.Error()
	}
	return err
}

// Finish ends the recording with the outcome of all steps.
func (p *Progress) Finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = Up
	if err != nil {
		p.phase, p.err = Failed, err.Error()
	}
}

// Snapshot returns the steps, the phase and, if that is Failed, the reason.
func (p *Progress) Snapshot() (steps []Step, phase Phase, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, step := range p.steps {
		copied := *step
		if !copied.Done {
			copied.Seconds = time.Since(copied.Started).Seconds()
		}
		steps = append(steps, copied)
	}
	return steps, p.phase, p.err
}
