// Package machinetest gives tests real machines. Main has a test binary run again in namespaces of its own, as the lab's
// components do, so that nothing of a test outlives it; New gives a test a network and a machine manager, and fails the
// test when it leaves a mount, an interface, a cgroup or a process behind. It needs root and the Debian packages
// debootstrap, systemd-container and nftables. It must not be used outside of tests.
package machinetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/machine"
)

// rootfsVariable tells the second run of a test binary where the root file system is, and that it is the second run.
const rootfsVariable = "HAWSER_LAB_TEST_ROOTFS"

// Main is the whole of a TestMain: it builds the machines' root file system, if the cache has none, and runs the tests in
// new namespaces. It returns the exit code.
func Main(m *testing.M) int {
	if os.Getenv(rootfsVariable) != "" {
		if err := enterSandbox(); err != nil {
			fmt.Fprintln(os.Stderr, "machinetest:", err)
			return 1
		}
		return m.Run()
	}
	code, err := runAgain()
	if err != nil {
		fmt.Fprintln(os.Stderr, "machinetest:", err)
		return 1
	}
	return code
}

func runAgain() (int, error) {
	if os.Geteuid() != 0 {
		return 0, errors.New("these tests boot machines: run them as root")
	}
	cache, err := build.OpenCache("")
	if err != nil {
		return 0, err
	}
	rootfs, err := cache.Debootstrap(context.Background(), "machine", machine.Packages())
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), rootfsVariable+"="+rootfs)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// enterSandbox parts the mounts from the host's, and shows the new process namespace and a /run of its own.
func enterSandbox() error {
	const pseudo = unix.MS_NOSUID | unix.MS_NODEV
	return errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("proc", "/proc", "proc", pseudo|unix.MS_NOEXEC, ""),
		unix.Mount("tmpfs", "/run", "tmpfs", pseudo, "mode=755"),
	)
}
