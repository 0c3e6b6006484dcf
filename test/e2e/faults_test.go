//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	faultyAgent = "dist/faults/hawser-agent"
	// faultsDirectory is where a faulty agent looks for what is to go wrong (internal/agent/faults).
	faultsDirectory = "/run/hawser-faults"
	// settling is how long a state has to stay the desired one to be all of a change, which may be of several objects.
	settling = time.Second
	// completing bounds a change whose agent was killed on the way.
	completing = 40 * time.Second
)

// faulty puts an agent in place of the installed one that can be struck by faults. It is the same but for its build tag.
func faulty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: faulty NAME, before it joins")
	}
	// The environment of the scenario has no settings of Go's.
	build := exec.Command("make", "-C", repository(ts), faultyAgent)
	build.Env = os.Environ()
	if out, err := build.CombinedOutput(); err != nil {
		ts.Fatalf("build the faulty agent: %v\n%s", err, out)
	}
	ts.Check(ts.Exec("hawser-lab", "vm", "cp", filepath.Join(repository(ts), faultyAgent), args[0]+":/usr/bin/hawser-agent"))
	ts.Check(ts.Exec("hawser-lab", "vm", "exec", args[0], "--", "mkdir", "-p", faultsDirectory))
}

// killedEach applies two files in turn, there and back, with the agent of a machine killed before the same one of the changes that it makes on either
// way, then before another one, until it makes them all alive. STRIDE is how many changes are spared in between. Each time the machine has to become
// current by itself.
func killedEach(ts *testscript.TestScript, neg bool, args []string) {
	var stride int
	if len(args) == 5 {
		if _, err := fmt.Sscan(args[1], &stride); err != nil {
			stride = 0
		}
	}
	if neg || stride < 1 {
		ts.Fatalf("usage: killed-each NAME STRIDE PREFIX FILE FILE")
	}
	machine, files := args[0], args[3:]
	ts.Check(ts.Exec("kubectl", "apply", "-f", ts.MkAbs(files[1])))
	awaitChange(ts, machine, "")
	for n := 1; ; n += stride {
		there := killedAtStep(ts, machine, n, args[2], files[0])
		back := killedAtStep(ts, machine, n, args[2], files[1])
		switch {
		case there || back:
		case n == 1:
			ts.Fatalf("the agent was never killed: is it one that `faulty` installs?")
		default:
			return
		}
	}
}

// killedAtStep applies a file, with the agent killed before the n-th change, and reports whether it was.
func killedAtStep(ts *testscript.TestScript, machine string, n int, prefix, file string) bool {
	before, _ := generations(ts, machine)
	start := time.Now()
	onVM(ts, machine, "echo '%d %s' >%s/die-at", n, prefix, faultsDirectory)
	ts.Check(ts.Exec("kubectl", "apply", "-f", ts.MkAbs(file)))
	awaitChange(ts, machine, before)
	died := onVM(ts, machine, "cd %s; test -e die-at || tail -n 1 died", faultsDirectory)
	onVM(ts, machine, "rm -f %s/die-at", faultsDirectory)
	if died != "" {
		ts.Logf("killed before %q, current after %s", died, time.Since(start).Round(100*time.Millisecond))
	}
	return died != ""
}

// awaitChange waits until a machine is at another generation than before, if that is given, and stays there.
func awaitChange(ts *testscript.TestScript, machine, before string) {
	last, since := "", time.Now()
	waitFor(ts, completing, "current", func() (string, bool) {
		desired, applied := generations(ts, machine)
		if desired != last {
			last, since = desired, time.Now()
		}
		return fmt.Sprintf("desired %q, applied %q, before %q", desired, applied, before),
			desired != "" && desired != before && applied == desired && time.Since(since) > settling
	})
}

// generations are those of the state that a machine is to have, and has; empty while that is not known.
func generations(ts *testscript.TestScript, machine string) (desired, applied string) {
	out, err := quietly(ts, "kubectl", []string{"get", "machine", "-n", "shop", machine, "-o",
		`jsonpath={.status.desiredGeneration} {.status.appliedGeneration} {.status.conditions[?(@.type=="ConfigCurrent")].status}`})
	if fields := strings.Fields(out); err == nil && len(fields) == 3 && fields[2] == "True" {
		return fields[0], fields[1]
	}
	return "", ""
}

// onVM runs a shell command on a machine and returns what it prints.
func onVM(ts *testscript.TestScript, machine, format string, args ...any) string {
	out, err := quietly(ts, "hawser-lab", []string{"vm", "exec", machine, "--", "sh", "-c", fmt.Sprintf(format, args...)})
	ts.Check(err)
	return strings.TrimSpace(out)
}

// waitFor observes until it is so, and fails with what it saw last.
func waitFor(ts *testscript.TestScript, limit time.Duration, what string, observe func() (seen string, so bool)) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; {
		seen, so := observe()
		if so {
			return
		}
		if time.Since(start) > limit {
			ts.Fatalf("not %s within %s: %s", what, limit, seen)
		}
		<-tick.C
	}
}
