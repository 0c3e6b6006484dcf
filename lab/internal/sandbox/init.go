package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter is the first thing that runs in the new namespaces: it joins the lab's cgroups, makes a cgroup namespace whose root
// they are, and becomes Init. It returns only with an error.
func Enter(layout Layout) error {
	if err := joinCgroups(layout); err != nil {
		return err
	}
	// A cgroup namespace belongs to a thread; the exec makes this thread the whole process.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a cgroup namespace: %w", err)
	}
	if err := unix.Exec("/proc/self/exe", []string{os.Args[0], InitCommand}, os.Environ()); err != nil {
		return fmt.Errorf("become the init: %w", err)
	}
	return nil
}

// Init is process 1 of the sandbox: it prepares mounts and links, starts the supervisor, passes signals on to it, and
// reaps what the lab's daemons orphan. It ends with the supervisor, and everything in the sandbox ends with it.
func Init(layout Layout) error {
	if os.Getpid() != 1 {
		return errors.New("this command is the first process of a sandbox; use `hawser-lab up`")
	}
	if err := mountAll(layout); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("hawser-lab")); err != nil {
		return fmt.Errorf("name the node: %w", err)
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGCHLD)
	supervisor, err := os.StartProcess("/proc/self/exe", []string{os.Args[0], SuperviseCommand},
		&os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return fmt.Errorf("start the supervisor: %w", err)
	}
	// Only the supervisor may hold the pipe on which it waits for its configuration.
	if err := os.Stdin.Close(); err != nil {
		return err
	}
	for received := range signals {
		if received != unix.SIGCHLD {
			_ = syscall.Kill(supervisor.Pid, received.(syscall.Signal))
			continue
		}
		if status, ended := reap(supervisor.Pid); ended {
			return fmt.Errorf("the supervisor ended: %s", status)
		}
	}
	return nil
}

// reap waits for all children that have ended and says whether the process given is among them.
func reap(watched int) (status string, ended bool) {
	for {
		var wait unix.WaitStatus
		pid, err := unix.Wait4(-1, &wait, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return status, ended
		}
		if pid == watched {
			status, ended = fmt.Sprintf("exit code %d, signal %d", wait.ExitStatus(), wait.Signal()), true
		}
	}
}
