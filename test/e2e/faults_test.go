//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	faultyAgent = "dist/faults/hawser-agent"
	// faultsDirectory is where a faulty agent looks for what is to go wrong (internal/agent/faults).
	faultsDirectory = "/run/hawser-faults"
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
	states := followGenerations(ts, machines)
	ts.Check(ts.Exec("kubectl", "apply", "-f", ts.MkAbs(files[1])))
	before := states.await(ts, nil)
	for n := 1; ; n += stride * len(machines) {
		killed := false
		for _, file := range files {
			for i, machine := range machines {
				onVM(ts, machine, "echo '%d %s' >%s/die-at", n+i*stride, prefix, faultsDirectory)
			}
			ts.Check(ts.Exec("kubectl", "apply", "-f", ts.MkAbs(file)))
			before = states.await(ts, before)
			for _, machine := range machines {
				if died := onVM(ts, machine, "cd %s; test -e die-at || tail -n 1 died; rm -f die-at", faultsDirectory); died != "" {
					killed = true
					ts.Logf("%s: killed before %q", machine, died)
				}
			}
		}
		switch {
		case killed:
		case n == 1:
			ts.Fatalf("no agent was ever killed: are they those that `faulty` installs?")
		default:
			return
		}
	}
}

// onVM runs a shell command on a machine and returns what it prints.
func onVM(ts *testscript.TestScript, machine, format string, args ...any) string {
	out, err := quietly(ts, "hawser-lab", []string{"vm", "exec", machine, "--", "sh", "-c", fmt.Sprintf(format, args...)})
	ts.Check(err)
	return strings.TrimSpace(out)
}
