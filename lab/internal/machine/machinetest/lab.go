package machinetest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/network"
)

// Lab is a network of machines and the manager of the machines on it.
type Lab struct {
	*testing.T
	Network  *network.Network
	Machines *machine.Manager
	// Config is what Machines was made with.
	Config machine.Config
	stop   func()
}

// New sets a network up and runs a manager until the test ends.
func New(t *testing.T) *Lab {
	t.Helper()
	netCfg := network.DefaultConfig()
	if err := os.MkdirAll(netCfg.NetnsDir, 0o755); err != nil {
		t.Fatal(err)
	}
	before := kernelState(t)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	netCfg.Log = log
	net, err := network.New(netCfg)
	l := &Lab{T: t, Network: net}
	l.Must(err)
	l.Must(net.Setup(t.Context()))
	t.Cleanup(func() {
		l.Must(net.Teardown(context.Background()))
		after := kernelState(t)
		for deadline := time.Now().Add(5 * time.Second); after != before && time.Now().Before(deadline); {
			after = kernelState(t) // PID 1 may have to reap an orphan yet
		}
		if after != before {
			t.Errorf("the test left something behind.\nbefore:\n%s\nafter:\n%s", before, after)
		}
	})
	l.Config = machine.DefaultConfig()
	l.Config.Dir = filepath.Join(t.TempDir(), "machines")
	l.Config.Rootfs = os.Getenv(rootfsVariable)
	l.Config.Cgroup = os.Getenv(cgroupVariable)
	l.Config.Log = log
	l.Resume()
	return l
}

// Resume runs a new manager over the disk of the old one, as after the start of a new lab.
func (l *Lab) Resume() {
	l.Machines = machine.NewManager(l.Config, l.Network)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Machines.Run(ctx) }()
	stopped := false
	l.stop = func() {
		if !stopped {
			stopped = true
			cancel()
			l.Must(<-ended)
		}
	}
	l.Cleanup(l.stop)
}

// Shutdown ends the manager, which powers all machines off.
func (l *Lab) Shutdown() { l.stop() }

// Must fails the test on an error.
func (l *Lab) Must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// AddMachine makes and boots a machine.
func (l *Lab) AddMachine(name string, opts machine.Options) machine.Status {
	l.Helper()
	start := time.Now()
	status, err := l.Machines.Add(l.Context(), name, opts)
	l.Must(err)
	l.Logf("%s was made and booted in %s", name, time.Since(start).Round(time.Millisecond))
	return status
}

// Shell runs a shell command in a machine, and returns what it printed and its exit code.
func (l *Lab) Shell(name, command string) (string, int) {
	l.Helper()
	var out bytes.Buffer
	code, err := l.Machines.Exec(l.Context(), name, []string{"sh", "-c", command}, machine.Stdio{Out: &out, Err: &out})
	l.Must(err)
	return strings.TrimSpace(out.String()), code
}

// Want runs a shell command in a machine that must succeed and print what is wanted.
func (l *Lab) Want(name, command, wanted string) {
	l.Helper()
	if out, code := l.Shell(name, command); out != wanted || code != 0 {
		l.Errorf("%s: %s: printed %q with exit code %d, want %q", name, command, out, code, wanted)
	}
}

// WantFailure runs a shell command in a machine that must not succeed.
func (l *Lab) WantFailure(name, command string) {
	l.Helper()
	if out, code := l.Shell(name, command); code == 0 {
		l.Errorf("%s: %s: succeeded and printed %q, want a failure", name, command, out)
	}
}

// Eventually waits until a condition holds, and fails the test after ten seconds.
func (l *Lab) Eventually(what string, condition func() bool) {
	l.Helper()
	deadline := time.After(10 * time.Second)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-poll.C:
		case <-deadline:
			l.Fatalf("not within ten seconds: %s", what)
		}
	}
}

// kernelState is a text of all that machines take from the kernel.
func kernelState(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "mounts:\n%s", mounts)
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + os.Getenv(cgroupVariable) + "/*")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "cgroups: %v\n", groups)
	for _, argv := range [][]string{{"ip", "-br", "link"}, {"nft", "list", "tables"}, {"ls", "-A", "/run/hawser-lab/netns"}, {"ps", "-eo", "comm"}} {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", argv, err, out)
		}
		fmt.Fprintf(&b, "%s:\n%s", strings.Join(argv, " "), out)
	}
	return b.String()
}
