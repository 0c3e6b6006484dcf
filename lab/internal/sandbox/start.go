package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// Arguments that the sandbox's program is run with: for Enter, for Init, and for the supervisor.
const (
	EnterCommand     = "sandbox-enter"
	InitCommand      = "sandbox-init"
	SuperviseCommand = "sandbox-supervise"
)

// Start makes a sandbox that runs a program, gives its supervisor the configuration, and returns at once; the process outlives the caller.
// The caller has removed what an earlier sandbox left (Remove).
func Start(ctx context.Context, layout Layout, program string, configuration any) (Identity, error) {
	if err := errors.Join(os.MkdirAll(layout.RunDir, 0o700), os.MkdirAll(layout.LogDir(), 0o755)); err != nil {
		return Identity{}, fmt.Errorf("make the lab's directories: %w", err)
	}
	log, err := os.Create(layout.Log("init"))
	if err != nil {
		return Identity{}, fmt.Errorf("open the init's log: %w", err)
	}
	defer log.Close()
	// Not CommandContext: the sandbox must live on when the caller ends.
	cmd := exec.Command(program, EnterCommand)
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET |
			syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Identity{}, err
	}
	if err := cmd.Start(); err != nil {
		return Identity{}, fmt.Errorf("start the sandbox (root is needed): %w", err)
	}
	identity, err := equip(layout, cmd.Process.Pid, configuration, stdin)
	if err != nil {
		return Identity{}, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return identity, cmd.Process.Release()
}

// equip gives the new sandbox its link to the host, then its configuration. The supervisor waits for the latter, and
// ends if the caller dies before.
func equip(layout Layout, pid int, configuration any, stdin io.WriteCloser) (Identity, error) {
	identity, err := identify(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("the sandbox ended at once; see %s: %w", layout.Log("init"), err)
	}
	if err := saveIdentity(layout, identity); err != nil {
		return Identity{}, fmt.Errorf("remember the lab's process: %w", err)
	}
	if err := connectHost(layout, pid); err != nil {
		return Identity{}, err
	}
	if err := json.NewEncoder(stdin).Encode(configuration); err != nil {
		return Identity{}, fmt.Errorf("configure the sandbox; see %s: %w", layout.Log("init"), err)
	}
	return identity, stdin.Close()
}
