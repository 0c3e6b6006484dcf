//go:build lab

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// layoutVariable carries the test's layout to the processes of its sandbox.
const layoutVariable = "HAWSER_LAB_TEST_LAYOUT"

// TestMain is also the program that the sandbox runs: the test binary is what /proc/self/exe names.
func TestMain(m *testing.M) {
	var layout Layout
	if len(os.Args) < 2 || json.Unmarshal([]byte(os.Getenv(layoutVariable)), &layout) != nil {
		os.Exit(m.Run())
	}
	run := map[string]func(Layout) error{EnterCommand: Enter, InitCommand: Init, SuperviseCommand: superviseTest}[os.Args[1]]
	if err := run(layout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// superviseTest runs one component that makes what a lab makes: mounts, namespaces, links, rules and cgroups.
func superviseTest(layout Layout) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	var greeting string
	if err := json.NewDecoder(os.Stdin).Decode(&greeting); err != nil {
		return err
	}
	if err := ConnectNode(layout); err != nil {
		return err
	}
	supervisor := NewSupervisor(layout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	defer supervisor.Stop()
	const script = `set -e
ip netns add inner
ip link add pods type bridge
nft add table inet inner
mkdir -p /sys/fs/cgroup/*/inner/leaf
mount -t tmpfs inner "$1"
setsid sleep 1000 &
exec sleep 1000`
	if err := supervisor.Start(ctx, Component{Name: "maker", Args: []string{"sh", "-c", script, "maker", filepath.Join(layout.StateDir, "mount")}}); err != nil {
		return err
	}
	server := NewServer(layout)
	server.Handle("GET /greeting", func(*http.Request) (any, error) { return greeting, nil })
	server.Handle("GET /components", func(*http.Request) (any, error) { return supervisor.Status(), nil })
	return server.Run(ctx)
}

// host prints everything of the host that a sandbox could leave behind, except for processes that have nothing to do
// with it.
func host(t *testing.T, layout Layout) string {
	t.Helper()
	var out bytes.Buffer
	for _, command := range []string{
		"ip -o link | cut -d' ' -f2 | sort", "ip route | sort", "ip netns list", "nft list tables", "cut -d' ' -f5 /proc/self/mountinfo | sort",
		"find /sys/fs/cgroup -name " + layout.Cgroup, "ls -d " + layout.RunDir + " 2>/dev/null || true", "cat /proc/sys/net/ipv4/ip_forward",
	} {
		text, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", command, err, text)
		}
		fmt.Fprintf(&out, "%s:\n%s", command, text)
	}
	return out.String()
}

func newTestLayout(t *testing.T) Layout {
	t.Helper()
	name := "hawser-t" + strconv.Itoa(os.Getpid()%10000)
	layout := Layout{
		RunDir: filepath.Join("/run", name), StateDir: t.TempDir(), Cgroup: name, HostLink: name,
		HostAddress: netip.MustParsePrefix("10.231.78.1/30"), NodeAddress: netip.MustParsePrefix("10.231.78.2/30"),
	}
	text, err := json.Marshal(layout)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(layoutVariable, string(text))
	if err := os.Mkdir(filepath.Join(layout.StateDir, "mount"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Remove(context.Background(), layout); err != nil {
			t.Error(err)
		}
	})
	return layout
}

// startTest starts the sandbox and waits until its component runs.
func startTest(t *testing.T, layout Layout) (Identity, []ComponentStatus) {
	t.Helper()
	identity, err := Start(t.Context(), layout, "/proc/self/exe", "hello")
	if err != nil {
		t.Fatal(err)
	}
	client := NewClient(layout)
	var components []ComponentStatus
	err = poll(t.Context(), 20*time.Second, func() error { return client.Call(t.Context(), "GET", "/components", &components) })
	if err != nil {
		log, _ := os.ReadFile(layout.Log("init"))
		t.Fatalf("%v; the init said: %s", err, log)
	}
	return identity, components
}

func TestSandboxLeavesNothing(t *testing.T) {
	kill := func(pid int) { _ = unix.Kill(pid, unix.SIGKILL) }
	for name, end := range map[string]func(t *testing.T, layout Layout, init Identity){
		"in order":           func(*testing.T, Layout, Identity) {},
		"init killed":        func(_ *testing.T, _ Layout, init Identity) { kill(init.PID) },
		"supervisor killed":  func(t *testing.T, layout Layout, init Identity) { kill(childOf(t, init.PID)) },
		"identity file lost": func(_ *testing.T, layout Layout, _ Identity) { _ = os.Remove(layout.identityFile()) },
		"identity file wrong": func(_ *testing.T, layout Layout, _ Identity) {
			_ = os.WriteFile(layout.identityFile(), []byte("{"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			layout := newTestLayout(t)
			before := host(t, layout)
			init, _ := startTest(t, layout)
			var greeting string
			if err := NewClient(layout).Call(t.Context(), "GET", "/greeting", &greeting); err != nil || greeting != "hello" {
				t.Errorf("the configuration arrived as %q, %v", greeting, err)
			}
			end(t, layout, init)
			if err := Remove(t.Context(), layout); err != nil {
				t.Fatal(err)
			}
			if after := host(t, layout); after != before {
				t.Errorf("the host was:\n%s\nand is:\n%s", before, after)
			}
			if left, err := Leftovers(layout); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			if err := Remove(t.Context(), layout); err != nil {
				t.Errorf("removing twice: %v", err)
			}
		})
	}
}

func TestComponentIsRestartedAndOrphansAreReaped(t *testing.T) {
	layout := newTestLayout(t)
	init, components := startTest(t, layout)
	inside := func(args ...string) string {
		full := append([]string{"--target", strconv.Itoa(init.PID), "--mount", "--pid", "--"}, args...)
		out, _ := exec.Command("nsenter", full...).CombinedOutput()
		return string(out)
	}
	inside("kill", "-9", strconv.Itoa(components[0].PID))
	client := NewClient(layout)
	err := poll(t.Context(), 10*time.Second, func() error {
		var now []ComponentStatus
		if err := client.Call(t.Context(), "GET", "/components", &now); err != nil {
			return err
		}
		if now[0].Restarts == 0 || now[0].LastExit != "signal: killed" {
			return fmt.Errorf("components: %+v", now)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if states := strings.Fields(inside("ps", "-A", "-o", "stat=")); slices.ContainsFunc(states, func(s string) bool { return s[0] == 'Z' }) {
		t.Errorf("zombies: %v", states)
	}
}

// childOf returns the one child of a process.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	// The kernel lists children by the thread that made them.
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for _, list := range lists {
		part, err := os.ReadFile(list)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		t.Fatal(syscall.ECHILD)
	}
	child, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	return child
}
