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

// stageVariable tells a test binary which of its runs this is, rootfsVariable where the root file system is, and
// cgroupVariable the cgroup of this test binary: cgroups are the one thing that test binaries side by side share.
const (
	cgroupVariable = "HAWSER_LAB_TEST_CGROUP"
	stageVariable  = "HAWSER_LAB_TEST_STAGE"
	rootfsVariable = "HAWSER_LAB_TEST_ROOTFS"
)

// Main is the whole of a TestMain. The test binary runs three times: the first run builds the machines' root file system,
// if the cache has none, the second is PID 1 of the new namespaces, and the third runs the tests. It returns the exit
// code.
func Main(m *testing.M) int {
	var code int
	var err error
	switch os.Getenv(stageVariable) {
	case "":
		code, err = runInNamespaces()
	case "init":
		if err = enterSandbox(); err == nil {
			code, err = runAsInit()
		}
	default:
		return m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "machinetest:", err)
		return 1
	}
	return code
}

func again(stage string, extra ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(append(os.Environ(), extra...), stageVariable+"="+stage)
	return cmd
}

func runInNamespaces() (int, error) {
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
	cmd := again("init", rootfsVariable+"="+rootfs, fmt.Sprintf("%s=hawser-lab-test-%d", cgroupVariable, os.Getpid()))
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

// runAsInit waits for the tests, and for every orphan, as PID 1 has to.
func runAsInit() (int, error) {
	cmd := again("tests")
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for the tests: %w", err)
		case pid == cmd.Process.Pid && status.Exited():
			return status.ExitStatus(), nil
		case pid == cmd.Process.Pid:
			return 0, fmt.Errorf("the tests ended by a signal: %v", status.Signal())
		}
	}
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
