//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// command is one public command that a scenario may run: its words become a program and its arguments.
type command func(ts *testscript.TestScript, args []string) (name string, argv []string)

// commands are the verbs that run something and leave its output.
func commands() map[string]command {
	plain := func(name string) command {
		return func(_ *testscript.TestScript, args []string) (string, []string) { return name, args }
	}
	return map[string]command{
		"lab":     plain("hawser-lab"),
		"hawser":  plain("hawser"),
		"kubectl": plain("kubectl"),
		"helm":    plain("helm"),
		"vm": func(ts *testscript.TestScript, args []string) (string, []string) {
			if len(args) < 2 {
				ts.Fatalf("usage: vm NAME CMD…")
			}
			return "hawser-lab", append([]string{"vm", "exec", args[0], "--"}, args[1:]...)
		},
		"endpoints": func(ts *testscript.TestScript, args []string) (string, []string) {
			if len(args) != 1 {
				ts.Fatalf("usage: endpoints NAMESPACE/DEPLOYMENT")
			}
			return inPod(ts, args[0], "istio-proxy", "pilot-agent", "request", "GET", "clusters")
		},
		"from": func(ts *testscript.TestScript, args []string) (string, []string) {
			if len(args) != 2 {
				ts.Fatalf("usage: from NAMESPACE/DEPLOYMENT URL")
			}
			return inPod(ts, args[0], "", "/hawser-demo-app", "get", args[1])
		},
	}
}

// inPod is a command in a pod of a Deployment, NAMESPACE/NAME; in the container of its name, if none is given.
func inPod(ts *testscript.TestScript, deployment, container string, command ...string) (string, []string) {
	namespace, app, ok := strings.Cut(deployment, "/")
	if !ok {
		ts.Fatalf("%q is not NAMESPACE/DEPLOYMENT", deployment)
	}
	if container == "" {
		container = app
	}
	return "kubectl", append([]string{"exec", "-n", namespace, "deploy/" + app, "-c", container, "--"}, command...)
}

func verbs() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	all := map[string]func(*testscript.TestScript, bool, []string){
		"until":       until,
		"untilnot":    untilNot,
		"always":      always,
		"load":        load,
		"silence":     silence,
		"snapshot":    snapshot,
		"apply":       apply,
		"join":        join,
		"let":         let,
		"machine":     machine,
		"install":     install,
		"demo-app":    copyDemoApp,
		"killed-at":   killedAt,
		"faulty":      faulty,
		"killed-each": killedEach,
	}
	for verb, c := range commands() {
		all[verb] = func(ts *testscript.TestScript, neg bool, args []string) {
			name, argv := c(ts, args)
			if err := ts.Exec(name, argv...); (err != nil) != neg {
				ts.Fatalf("%s %s: %v", verb, strings.Join(args, " "), err)
			}
		}
	}
	return all
}

// quietly runs a command without a word in the log, which would be long after a hundred runs.
func quietly(ts *testscript.TestScript, name string, argv []string) (string, error) {
	out, err := program(context.Background(), ts, name, argv).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// program is a command with a scenario's environment, killed with the context.
func program(ctx context.Context, ts *testscript.TestScript, name string, argv []string) *exec.Cmd {
	path, err := findIn(ts.Getenv("PATH"), name)
	ts.Check(err)
	command := exec.CommandContext(ctx, path, argv...)
	command.Dir = ts.Getenv("WORK")
	for _, variable := range []string{"PATH", "HOME", "KUBECONFIG"} {
		command.Env = append(command.Env, variable+"="+ts.Getenv(variable))
	}
	return command
}

func findIn(path, name string) (string, error) {
	for _, directory := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(directory, name)); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf("%s is not in %s", name, path)
}

// join joins a machine with a fresh token, with the lines that `hawser token create` is for.
func join(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: join NAME NAMESPACE/GROUP")
	}
	ts.Check(ts.Exec("sh", filepath.Join(repository(ts), "scripts", "join"), args[0], args[1]))
}

// apply applies a file, and deletes what is in it at the end of the scenario, however that ends.
func apply(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: apply FILE")
	}
	path := ts.MkAbs(args[0])
	ts.Defer(func() { ts.Check(ts.Exec("kubectl", "delete", "--ignore-not-found", "-f", path)) })
	ts.Check(ts.Exec("kubectl", "apply", "-f", path))
}

// machine makes a machine for one scenario, which removes it, and what it left in the cluster, in the end.
func machine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: machine NAME")
	}
	ts.Defer(func() {
		// A machine that just vanishes stays in rotation for 10 s, and would fail the requests of the scenario that comes next.
		if err := ts.Exec("hawser-lab", "vm", "exec", args[0], "--", "timeout", "30", "hawser-agent", "leave"); err != nil {
			ts.Logf("%s does not leave: %v", args[0], err)
		}
		ts.Check(ts.Exec("hawser-lab", "vm", "rm", args[0]))
		ts.Check(ts.Exec("kubectl", "delete", "machine", "-n", "shop", "--ignore-not-found", "--wait=false", args[0]))
	})
	ts.Check(ts.Exec("hawser-lab", "vm", "add", args[0]))
}

// install installs the agent's package on a machine, as the guide says.
func install(ts *testscript.TestScript, neg bool, args []string) {
	packages, err := filepath.Glob(filepath.Join(repository(ts), "dist", "hawser-agent_*_"+runtime.GOARCH+".deb"))
	if neg || len(args) != 1 || err != nil || len(packages) != 1 {
		ts.Fatalf("usage: install NAME, with one package in dist (have %v)", packages)
	}
	ts.Check(ts.Exec("hawser-lab", "vm", "cp", packages[0], args[0]+":/root/hawser-agent.deb"))
	ts.Check(ts.Exec("hawser-lab", "vm", "exec", args[0], "--", "apt-get", "install", "-y", "-qq", "/root/hawser-agent.deb"))
}

// demoApp is the demo's application on its machines.
const demoApp = "/usr/local/bin/hawser-demo-app"

// copyDemoApp gives a machine the demo's application, as one of the demo's machines has it; what runs it is the scenario's.
func copyDemoApp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: demo-app NAME")
	}
	program, err := quietly(ts, "hawser-lab", []string{"vm", "exec", "ratings-vm-1", "--", "cat", demoApp})
	ts.Check(err)
	here := ts.MkAbs(filepath.Base(demoApp))
	ts.Check(os.WriteFile(here, []byte(program), 0o755))
	ts.Check(ts.Exec("hawser-lab", "vm", "cp", here, args[0]+":"+demoApp))
}

// killedAt kills a command on a machine with SIGKILL after a time. It may well have ended before.
func killedAt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: killed-at DURATION NAME CMD…")
	}
	after, err := time.ParseDuration(args[0])
	ts.Check(err)
	argv := []string{"vm", "exec", args[1], "--", "timeout", "-s", "KILL", fmt.Sprintf("%.3f", after.Seconds())}
	if err := ts.Exec("hawser-lab", append(argv, args[2:]...)...); err != nil {
		ts.Logf("killed after %s: %v", after, err)
	}
}

// silence has an address of the gateway answer no more. If the gateway still has it at the end of the scenario, however that ends, it gets another one:
// all that comes after would fail.
func silence(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: silence ADDRESS")
	}
	ts.Defer(func() {
		if out, err := quietly(ts, "hawser-lab", []string{"gateway", "address"}); err != nil || strings.Contains(out, args[0]) {
			ts.Check(ts.Exec("hawser-lab", "gateway", "move"))
		}
	})
	ts.Check(ts.Exec("hawser-lab", "gateway", "silence", args[0]))
}

// let keeps the last output, without its line end, in a variable that later lines name as $NAME.
func let(ts *testscript.TestScript, neg bool, args []string) {
	value := strings.TrimSpace(ts.ReadFile("stdout"))
	if neg || len(args) != 1 || value == "" {
		ts.Fatalf("usage: let NAME, after a command with output")
	}
	ts.Setenv(args[0], value)
}

func repository(ts *testscript.TestScript) string {
	dir := ts.Getenv("REPOSITORY")
	if dir == "" {
		ts.Fatalf("REPOSITORY is not set")
	}
	return dir
}

// snapshot writes what `leave` has to restore: every file of a machine that is not volatile, and its firewall rules.
func snapshot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: snapshot NAME FILE")
	}
	script := `find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /dev -o -path /var/log -o -path /var/cache -o -path /var/lib/systemd -o -path /var/tmp -o -path /root \) -prune -o -print0 >/tmp/files; ` +
		`xargs -0 stat -c '%N %f %u:%g' </tmp/files | sort; find -files0-from /tmp/files -maxdepth 0 -type f -print0 | xargs -0 sha256sum | sort -k 2; rm /tmp/files; ` +
		`nft list ruleset; ip -o link show | sed 's/^[0-9]*: //' | cut -d' ' -f1 | sort; ip rule; ip route; ls -d /run/hawser* 2>/dev/null || true`
	out, err := quietly(ts, "hawser-lab", []string{"vm", "exec", args[0], "--", "sh", "-c", script})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(out), 0o600))
}
