package guide

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each promise names the scenario that holds it, which exists, or says that there is none.
func TestPromisesAreHeldOrSaidNotToBe(t *testing.T) {
	text, err := os.ReadFile("../../docs/guide/promises.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`^\[([0-9a-z-]+)\]\(\.\./\.\./(test/e2e/testdata/([0-9a-z-]+)\.txtar)\)`)
	promises := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.HasPrefix(line, "|---") || strings.TrimSpace(cells[4]) == "held by" {
			continue
		}
		promises++
		held := strings.TrimSpace(cells[4])
		if held == "not yet held by a test" {
			continue
		}
		found := link.FindStringSubmatch(held)
		if found == nil || found[1] != found[3] {
			t.Errorf("%q is neither the link to a scenario nor what is said where there is none, in:\n%s", held, line)
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", found[2])); err != nil {
			t.Errorf("the scenario does not exist: %v, in:\n%s", err, line)
		}
	}
	// A table that the test does not recognize would hold nothing.
	if rows := strings.Count(string(text), "\n| ") - strings.Count(string(text), "| held by |"); promises != rows || promises < 40 {
		t.Errorf("%d promises in %d rows", promises, rows)
	}
}
