//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScenarios runs every script of testdata, one after the other: they share the machines of one lab.
func TestScenarios(t *testing.T) {
	environment := labEnvironment(t)
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scenarios in testdata: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			testscript.RunT(sequential{t}, testscript.Params{
				Files:               []string{script},
				Setup:               func(env *testscript.Env) error { env.Vars = append(env.Vars, environment...); return nil },
				Cmds:                verbs(),
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
			})
		})
	}
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

// sequential is a testing.T for testscript that runs scripts one by one, and shows of what went well only the headings.
type sequential struct{ *testing.T }

func (s sequential) Parallel()     {}
func (s sequential) Verbose() bool { return false }
func (s sequential) Run(name string, f func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { f(sequential{t}) })
}
