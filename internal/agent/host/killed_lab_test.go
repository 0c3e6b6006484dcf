//go:build lab

package host_test

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
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
	former, latter, served := states()
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
		want := former
		if os.Getenv(variableDoes) == "change" {
			want = latter
		}
		c := converge.Converger{Host: h, Finished: func(t converge.Taken) {
			if after := os.Getenv(variableAfter); after != "" && strings.HasPrefix(t.Step.String(), after) {
				die()
			}
		}}
		_, err = c.Converge(context.Background(), want)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error())
		return 1
	}
	return 0
}

// states are what a machine is told to be, before and after as many kinds of things have changed as there are, with the files for both.
func states() (former, latter *hawserv1.DesiredState, served artifacts) {
	proxy, served := version("1.0")
	next, more := version("1.1")
	maps.Copy(served.compressed, more.compressed)
	former, latter = desired(proxy), desired(next)
	latter.Generation = "g2"
	latter.Mesh.MeshYaml = append(latter.Mesh.MeshYaml, "  concurrency: 1\n"...)
	latter.Mesh.Environment[0].Value = "another value"
	latter.Mesh.RootCertificates = []byte("other root certificates\n")
	latter.Mesh.HostAliases[0].Address = "192.0.2.2"
	latter.Interception.ExcludeOutboundPorts = []string{"15012", "7001"}
	latter.Dns.SearchDomains, latter.Dns.Zones = []string{"shop.svc.cluster.local"}, []string{"cluster.local"}
	latter.Unit.OpenFiles = 32768
	latter.Token.Token = "another token"
	return former, latter, served
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

// TestMachine_ChangeKilledAnywhere kills changes of a machine that has joined, there and back. Converging again completes each of them, to the very
// files and rules that it ends with undisturbed.
func TestMachine_ChangeKilledAnywhere(t *testing.T) {
	former, latter, served := states()
	m := fresh(t, served, reached)
	wanted, does := []*hawserv1.DesiredState{former, latter}, []string{"join", "change"}
	var whole [2]string
	// Twice: from the second time on the ledger knows all that is ever changed. The last one is what the machine is, and turn what it is to be next.
	turn := 0
	for i := range 4 {
		m.converge(wanted[i%2])
		whole[i%2] = files(t) + m.shell("nft -s list ruleset")
	}
	for _, c := range []struct {
		name, among   string
		first, stride int
		least         int
	}{
		{"between steps", "step: ", 0, 1, 9},
		{"within steps", "", 3, 7, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := machine{T: t, host: m.host}
			for count := 0; ; count, turn = count+1, 1-turn {
				number := c.first + count*c.stride
				killed := m.killed(variableDoes+"="+does[turn], variableAmong+"="+c.among, variableNumber+"="+strconv.Itoa(number))
				steps := m.converge(wanted[turn])
				if now := files(t) + m.shell("nft -s list ruleset"); now != whole[turn] {
					t.Fatalf("killed at %d, completed by\n%s\nthe host is not as it would be:\n%s", number, strings.Join(steps, "\n"), difference(whole[turn], now))
				}
				if steps := m.converge(wanted[turn]); len(steps) > 0 {
					t.Errorf("killed at %d: converging again took steps:\n%s", number, strings.Join(steps, "\n"))
				}
				if killed {
					continue
				}
				turn = 1 - turn
				t.Logf("killed %d times", count)
				if count < c.least || len(steps) > 0 {
					t.Errorf("killed %d times, want at least %d; what was not killed left\n%s", count, c.least, strings.Join(steps, "\n"))
				}
				return
			}
		})
	}
}
