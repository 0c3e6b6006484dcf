//go:build e2e

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"
)

// sideBySide bounds how many scenarios run at a time: they wait most of the time, but a lab has few processors, and those that count requests see it.
const sideBySide = 6

// unhurried is how many times what it waits for may take as long as a scenario says that has others beside it. What is promised is promised of a machine
// that has a processor; a soak runs them alone, and holds each to its time.
const unhurried = 3

// TestScenarios runs every script of testdata in the order of their numbers, as they share the machines of one lab. Those that have the same
// number do not disturb each other, and run side by side. What a scenario leaves when it fails is put back before the next one.
func TestScenarios(t *testing.T) {
	environment := labEnvironment(t)
	var failed failures
	t.Cleanup(func() { failed.tell(os.Stdout) })
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scenarios in testdata: %v", err)
	}
	soak := os.Getenv("HAWSER_SOAK") != ""
	for _, group := range byNumber(scripts) {
		var running errgroup.Group
		beside, times := sideBySide, unhurried
		if soak || len(group) == 1 {
			beside, times = 1, 1
		}
		running.SetLimit(beside)
		for _, script := range group {
			running.Go(func() error {
				passed := t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
					testscript.RunT(reporting{t, &failed}, testscript.Params{
						Files: []string{script},
						Setup: func(env *testscript.Env) error {
							env.Vars = append(append(env.Vars, environment...), durations(soak)...)
							env.Values[patience{}] = times
							env.Values[loadKey{}] = &underLoad{}
							return nil
						},
						Cmds:                verbs(),
						RequireExplicitExec: true,
						RequireUniqueNames:  true,
					})
				})
				if !passed {
					return errFailed
				}
				return nil
			})
		}
		if running.Wait() != nil {
			mend(t)
		}
	}
}

// errFailed is of a scenario; what failed is told by its test.
var errFailed = errors.New("a scenario failed")

// mend puts the lab back to what scenarios start from, so that one that failed is the only one.
func mend(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("../../scripts/mend").CombinedOutput(); err != nil {
		t.Errorf("the lab is not what it was before the scenario that failed: scripts/mend: %v\n%s", err, out)
	}
}

// durations are how long faults last, as scenarios name them: shortened, or in full for a soak.
func durations(full bool) []string {
	if full {
		return []string{"MANAGERS_AWAY=10m", "ISTIOD_AWAY=10m", "LINK_CUT=60s", "LINK_FLAPS=60", "API_SERVER_AWAY=10m"}
	}
	return []string{"MANAGERS_AWAY=20s", "ISTIOD_AWAY=15s", "LINK_CUT=5s", "LINK_FLAPS=20", "API_SERVER_AWAY=30s"}
}

// byNumber groups sorted paths NUMBER-NAME.txtar by their number.
func byNumber(scripts []string) [][]string {
	var groups [][]string
	last := ""
	for _, script := range scripts {
		number, _, _ := strings.Cut(filepath.Base(script), "-")
		if number != last {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], script)
		last = number
	}
	return groups
}

// labEnvironment returns what a user's shell would have: the cluster's kubeconfig and the commands on the PATH.
func labEnvironment(t *testing.T) []string {
	t.Helper()
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	script := exec.Command("sh", "-c", `eval "$("$1/hawser-lab" env)" && printf '%s\n%s\n' "$KUBECONFIG" "$PATH"`, "sh", bin)
	script.Stderr = os.Stderr
	out, err := script.Output()
	if err != nil {
		t.Fatalf("the lab is not up: run `sudo make demo` first: %v", err)
	}
	lines := strings.SplitN(strings.TrimSpace(string(out)), "\n", 2)
	return []string{
		"KUBECONFIG=" + lines[0],
		"PATH=" + bin + string(os.PathListSeparator) + lines[1],
		"REPOSITORY=" + filepath.Dir(bin),
		"HOME=" + os.Getenv("HOME"),
		// Scenarios start kubectl and hawser-lab thousands of times: a quarter of what that costs is collecting what their start allocates.
		"GOGC=800",
	}
}
