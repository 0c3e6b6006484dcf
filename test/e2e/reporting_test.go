//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// reporting is a testing.T for testscript, which does not decide what runs side by side, shows of what went well only the headings, and keeps what failed
// for the end.
type reporting struct {
	*testing.T
	failed *failures
}

func (r reporting) Parallel()     {}
func (r reporting) Verbose() bool { return false }
func (r reporting) Run(name string, f func(testscript.T)) {
	r.T.Run(name, func(t *testing.T) { f(reporting{t, r.failed}) })
}

// Log is called once for each scenario, with all of its log, after it has failed if it does.
func (r reporting) Log(args ...any) {
	r.Helper()
	r.T.Log(args...)
	if r.Failed() {
		r.failed.add(path.Base(r.Name()), fmt.Sprint(args...))
	}
}

// failures are the scenarios that failed, each with the line that did. They are told once more after everything else: a run has thousands of lines.
type failures struct {
	mu   sync.Mutex
	told []string
}

func (f *failures) add(scenario, log string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, scenario+"\n"+lastWords(log))
}

func (f *failures) tell(w io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.told) > 0 {
		fmt.Fprintf(w, "\nScenarios that failed: %d\n\n%s\n", len(f.told), strings.Join(f.told, "\n\n"))
	}
}

// lastWords are the last lines of a scenario's log up to the reason of its failure, which begins with FAIL: in testscript. What comes after it is
// tidying up.
func lastWords(log string) string {
	const lines, width = 12, 300
	all := strings.Split(strings.TrimSpace(log), "\n")
	for i, line := range all {
		if strings.HasPrefix(line, "FAIL:") {
			all = all[:i+1]
			break
		}
	}
	var last []string
	for _, line := range all[max(0, len(all)-lines):] {
		last = append(last, "    "+line[:min(len(line), width)])
	}
	return strings.Join(last, "\n")
}
