//go:build lab

package host_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/converge"
	"github.com/hawser-io/hawser/internal/agent/host"
)

// A process of its own does what these say, and is killed on the way: after a step of a join whose text begins so, or before the
// change of this number among those whose text begins so.
const (
	variableDoes   = "HAWSER_TEST_DOES"
	variableAfter  = "HAWSER_TEST_DIES_AFTER"
	variableNumber = "HAWSER_TEST_DIES_AT"
	variableAmong  = "HAWSER_TEST_DIES_AMONG"
)

// doAndDie is the process's main.
func doAndDie() int {
	number, err := strconv.Atoi(cmp.Or(os.Getenv(variableNumber), "-1"))
	if err != nil {
		panic(err)
	}
	proxy, served := version("1.0")
	h := host.New(host.Options{Manager: elsewhere, Artifacts: served, Reachable: reached, Before: func(change string) {
		if !strings.HasPrefix(change, os.Getenv(variableAmong)) {
			return
		}
		if number == 0 {
			die()
		}
		number--
	}})
	switch os.Getenv(variableDoes) {
	case "restore":
		err = h.Restore(context.Background())
	default:
		c := converge.Converger{Host: h, Finished: func(t converge.Taken) {
			if after := os.Getenv(variableAfter); after != "" && strings.HasPrefix(t.Step.String(), after) {
				die()
			}
		}}
		_, err = c.Converge(context.Background(), desired(proxy))
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	return 0
}

func die() {
	process, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// killed reports whether a process was killed before it was done.
func (m machine) killed(variables ...string) bool {
	m.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), variables...)
	out, err := cmd.CombinedOutput()
	exit, killed := errors.AsType[*exec.ExitError](err)
	if err != nil && (!killed || exit.ExitCode() != -1) {
		m.Fatalf("%s: %v: %s", variables, err, out)
	}
	return err != nil
}

// dieAfter joins and is killed after a step.
func (m machine) dieAfter(step string) {
	m.Helper()
	if !m.killed(variableDoes+"=join", variableAfter+"="+step) {
		m.Errorf("a join has no step %q", step)
	}
}

// TestMachine_KilledAnywhere kills joins and restorations by SIGKILL: between any two steps, and at some of the changes of the
// file system within steps, of which the unit tests crash each. Whatever became of a join, restoring undoes it, offline, and
// whatever became of a restoration, repeating finishes it.
func TestMachine_KilledAnywhere(t *testing.T) {
	proxy, served := version("1.0")
	for _, c := range []struct {
		name, does, among string
		first, stride     int
		least             int
	}{
		{"between steps of a join", "join", "step: ", 0, 1, 35},
		{"within steps of a join", "join", "", 5, 23, 10},
		{"between steps of a restoration", "restore", "undo: ", 0, 1, 30},
		{"within steps of a restoration", "restore", "", 5, 13, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := fresh(t, served, reached)
			before := files(t)
			for count, number := 0, c.first; ; count, number = count+1, number+c.stride {
				if c.does == "restore" {
					m.converge(desired(proxy))
				}
				killed := m.killed(variableDoes+"="+c.does, variableAmong+"="+c.among, variableNumber+"="+strconv.Itoa(number))
				if c.does == "join" && (count%9 == 0 || !killed) {
					m.converge(desired(proxy))
					if steps := m.converge(desired(proxy)); len(steps) > 0 {
						t.Errorf("killed at %d: converging again took steps:\n%s", number, strings.Join(steps, "\n"))
					}
				}
				m.restore()
				if after := files(t); after != before {
					t.Fatalf("killed at %d, the files are not as they were:\n%s", number, difference(before, after))
				}
				if !killed {
					t.Logf("killed %d times", count)
					if count < c.least {
						t.Errorf("killed %d times, want at least %d", count, c.least)
					}
					return
				}
			}
		})
	}
}
