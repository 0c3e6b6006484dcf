package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// Become replaces the calling process by a command in the sandbox's namespaces, with the same terminal and streams. It
// returns only with an error. The command ends with the sandbox.
func Become(layout Layout, argv ...string) error {
	identity, running, err := Running(layout)
	if err != nil {
		return err
	}
	if !running {
		return ErrDown
	}
	return Exec(append([]string{
		"nsenter", "--target", strconv.Itoa(identity.PID), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--wd=/", "--",
	}, argv...))
}

// Exec replaces the calling process by a program that is looked up in PATH. It returns only with an error.
func Exec(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("run %s: %w", argv[0], err)
	}
	if err := unix.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	return nil
}
