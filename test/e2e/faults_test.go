//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// killedEach applies two files in turn, there and back, with the agents of machines of one group killed before the same one of the changes that they make
// on either way, each before another one, then before further ones, until they make them all alive. STRIDE is how many changes are spared in between.
// Each time the machines have to become current by themselves.
func killedEach(ts *testscript.TestScript, neg bool, args []string) {
	var stride int
	if len(args) >= 5 {
		if _, err := fmt.Sscan(args[0], &stride); err != nil {
			stride = 0
		}
	}
	if neg || stride < 1 {
		ts.Fatalf("usage: killed-each STRIDE PREFIX FILE FILE NAME…")
	}
	prefix, files, machines := args[1], args[2:4], args[4:]
	ts.Check(ts.Exec("kubectl", "apply", "-f", ts.MkAbs(files[1])))
	awaitChange(ts, machines, nil)
	for n := 1; ; n += stride * len(machines) {
		there := killedAtSteps(ts, machines, n, stride, prefix, files[0])
		back := killedAtSteps(ts, machines, n, stride, prefix, files[1])
		switch {
		case there || back:
		case n == 1:
			ts.Fatalf("no agent was ever killed: are they those that `faulty` installs?")
		default:
			return
		}
	}
}

// killedAtSteps applies a file, with the agent of the first machine killed before the n-th change, that of the next one stride changes later and so on, and
// reports whether any was.
func killedAtSteps(ts *testscript.TestScript, machines []string, n, stride int, prefix, file string) bool {
	before := generations(ts, machines)
	if !changed(nil, before) {
		ts.Fatalf("not all machines are current before the change: %+v", before)
	}
	for i, machine := range machines {
		onVM(ts, machine, "echo '%d %s' >%s/die-at", n+i*stride, prefix, faultsDirectory)
	}
	ts.Check(ts.Exec("kubectl", "apply", "-f", ts.MkAbs(file)))
	awaitChange(ts, machines, before)
	killed := false
	for _, machine := range machines {
		died := onVM(ts, machine, "cd %s; test -e die-at || tail -n 1 died; rm -f die-at", faultsDirectory)
		if died != "" {
			killed = true
			ts.Logf("%s: killed before %q", machine, died)
		}
	}
	return killed
}

// awaitChange waits until machines have the state that is theirs, another one than before if that is given, and it stays theirs.
func awaitChange(ts *testscript.TestScript, machines []string, before []generation) {
	var last []generation
	since := time.Now()
	seen, failure := watch(completing, 500*time.Millisecond, untilMatch, func() (string, bool) {
		now := generations(ts, machines)
		if !slices.EqualFunc(now, last, func(a, b generation) bool { return a.desired == b.desired }) {
			last, since = now, time.Now()
		}
		return fmt.Sprintf("%+v, before %+v", now, before), changed(before, now) && time.Since(since) > settling
	})
	if failure != "" {
		ts.Fatalf("%s: not current within %s: %s", strings.Join(machines, ", "), completing, seen)
	}
}

// generation is of the state that a machine is to have, and of that which it has; both empty while its configuration is not current.
type generation struct{ desired, applied string }

// changed is whether all machines are current, with another state than before.
func changed(before, now []generation) bool {
	for i, machine := range now {
		if machine.desired == "" || machine.applied != machine.desired || before != nil && machine.desired == before[i].desired {
			return false
		}
	}
	return true
}

// generations are those of the machines, in their order.
func generations(ts *testscript.TestScript, machines []string) []generation {
	out, err := quietly(ts, "kubectl", []string{"get", "machines", "-n", "shop", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.desiredGeneration} {.status.appliedGeneration} {.status.conditions[?(@.type=="ConfigCurrent")].status}{"\n"}{end}`})
	if err != nil {
		return make([]generation, len(machines))
	}
	found := map[string]generation{}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 4 && fields[3] == "True" {
			found[fields[0]] = generation{fields[1], fields[2]}
		}
	}
	all := make([]generation, len(machines))
	for i, machine := range machines {
		all[i] = found[machine]
	}
	return all
}

// onVM runs a shell command on a machine and returns what it prints.
func onVM(ts *testscript.TestScript, machine, format string, args ...any) string {
	out, err := quietly(ts, "hawser-lab", []string{"vm", "exec", machine, "--", "sh", "-c", fmt.Sprintf(format, args...)})
	ts.Check(err)
	return strings.TrimSpace(out)
}
