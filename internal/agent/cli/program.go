package cli

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/hawser-io/hawser/internal/agent"
	"github.com/hawser-io/hawser/internal/agent/faults"
	"github.com/hawser-io/hawser/internal/agent/host"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/preflight"
	"github.com/hawser-io/hawser/internal/agent/service"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// Host is the machine as the commands work on it; host.Host is one.
type Host interface {
	agent.Restorable
	// Facts decide whether the host can join.
	Facts(ctx context.Context) (preflight.Facts, error)
}

// Service is the agent's own systemd service.
type Service interface {
	agent.Service
	Start(ctx context.Context, anew bool) error
	Stop(ctx context.Context) error
}

// Program is what the commands work with: a real machine, or a test's.
type Program struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Terminal: a person watches Stdout.
	Terminal bool
	// State and Socket are the agent's directory and socket, Lock a file that keeps join and leave apart.
	State, Socket, Lock string
	// Root is put before the paths of the host's other files; empty on a real machine.
	Root    string
	Host    func(host.Options) Host
	Service Service
	// Before is told by the agent of each change to the host before it is made; nil for nobody. Now is the clock that it judges dates by.
	Before func(change string)
	Now    func() time.Time
	// Environment has the variables that systemd sets.
	Environment func(name string) string
}

// Real returns the program on this machine.
func Real() *Program {
	return &Program{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Terminal: term.IsTerminal(int(os.Stdout.Fd())),
		State: store.DefaultDirectory, Socket: local.DefaultSocket, Lock: "/run/hawser-agent.lock",
		Host:        func(options host.Options) Host { return host.New(options) },
		Service:     service.New(command.Exec{}),
		Before:      faults.Before(),
		Now:         faults.Now(),
		Environment: os.Getenv,
	}
}

// coloured: a person watches, and has not asked for text alone (https://no-color.org).
func (p *Program) coloured() bool { return p.Terminal && p.Environment("NO_COLOR") == "" }

// Main runs the program with the process's arguments and returns its exit code.
func Main() int { return Real().Run(context.Background(), os.Args[1:]) }
