package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Component is a program that the supervisor keeps running.
type Component struct {
	Name string
	Args []string
	// Env is added to the supervisor's own environment.
	Env []string
	// Ready returns nil once the component serves; nil means at once. It is called until then, also after a restart.
	Ready func(ctx context.Context) error
	// Grace is how long the program may take to end before it is killed; 0 means 5 s.
	Grace time.Duration
}

// ComponentStatus is what is known of a component.
type ComponentStatus struct {
	Name string `json:"name"`
	// State is starting, ready, waiting (for a restart) or stopped, also by Hold.
	State State `json:"state"`
	// PID is the process inside the sandbox, 0 if none runs.
	PID      int       `json:"pid,omitempty"`
	Since    time.Time `json:"since"`
	Restarts int       `json:"restarts"`
	// LastExit tells how the last process ended.
	LastExit string `json:"lastExit,omitempty"`
}

// State of a component.
type State string

// The states in their order.
const (
	Starting State = "starting"
	Ready    State = "ready"
	Waiting  State = "waiting"
	Stopped  State = "stopped"
)

// process is one running program.
type process interface {
	PID() int
	// Wait returns when the process has ended; it is called once.
	Wait() error
	Signal(os.Signal) error
}

// launcher starts programs. The real one is execLauncher.
type launcher interface {
	Launch(component Component, log io.Writer) (process, error)
}

// execLauncher starts programs in process groups of their own, so that a signal meant for one does not reach others.
type execLauncher struct{}

var _ launcher = execLauncher{}

func (execLauncher) Launch(component Component, log io.Writer) (process, error) {
	cmd := exec.Command(component.Args[0], component.Args[1:]...)
	cmd.Env = append(os.Environ(), component.Env...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", component.Name, err)
	}
	return execProcess{cmd}, nil
}

type execProcess struct{ cmd *exec.Cmd }

func (p execProcess) PID() int                 { return p.cmd.Process.Pid }
func (p execProcess) Wait() error              { return p.cmd.Wait() }
func (p execProcess) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }
