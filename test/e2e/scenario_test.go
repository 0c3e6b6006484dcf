//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"
)

// sideBySide bounds how many scenarios run at a time: they wait most of the time, but a lab has few processors, and those that count requests see it.
const sideBySide = 4

// TestScenarios runs every script of testdata in the order of their numbers, as they share the machines of one lab. Those that have the same
// number do not disturb each other, and run side by side.
func TestScenarios(t *testing.T) {
	environment := labEnvironment(t)
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scenarios in testdata: %v", err)
	}
	for _, group := range byNumber(scripts) {
		var running errgroup.Group
		running.SetLimit(sideBySide)
		for _, script := range group {
			running.Go(func() error {
				t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
					testscript.RunT(reporting{t}, testscript.Params{
						Files: []string{script},
						Setup: func(env *testscript.Env) error {
							env.Vars = append(append(env.Vars, environment...), durations(os.Getenv("HAWSER_SOAK") != "")...)
							env.Values[loadKey{}] = &underLoad{}
							return nil
						},
						Cmds:                verbs(),
						RequireExplicitExec: true,
						RequireUniqueNames:  true,
					})
				})
				return nil
			})
		}
		// What fails is told by its test.
		_ = running.Wait()
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
	}
}

// reporting is a testing.T for testscript, which does not decide what runs side by side and shows of what went well only the headings.
type reporting struct{ *testing.T }

func (r reporting) Parallel()     {}
func (r reporting) Verbose() bool { return false }
func (r reporting) Run(name string, f func(testscript.T)) {
	r.T.Run(name, func(t *testing.T) { f(reporting{t}) })
}
