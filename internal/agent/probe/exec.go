package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

type execChecker struct{ command []string }

// account is the proxy's, by number: pilot-agent, too, runs probes as the user that it has itself. Whoever may write a WorkloadGroup
// must not become root on its machines by that.
const account = 1337

// Check runs the command on the host, without a shell. Exit code 0 is success.
func (c execChecker) Check(ctx context.Context) error {
	if len(c.command) == 0 {
		return errors.New("the probe has no command")
	}
	command := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	var output limitedBuffer
	command.Stdout, command.Stderr = &output, &output
	// A group of its own, so that a probe which times out takes along what it started.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Dir = "/"
	if os.Geteuid() == 0 {
		command.SysProcAttr.Credential = &syscall.Credential{Uid: account, Gid: account}
	}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 100 * time.Millisecond
	err := command.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", c.command[0], ctx.Err())
	case output.Len() > 0:
		return fmt.Errorf("%s: %w: %s", c.command[0], err, oneLine(output.Bytes()))
	default:
		return fmt.Errorf("%s: %w", c.command[0], err)
	}
}

// limitedBuffer keeps the beginning of what is written and drops the rest.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := longestReason - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
