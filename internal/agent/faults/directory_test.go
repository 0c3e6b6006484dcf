//go:build faults

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, directory, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDiesOnceBeforeTheChangeThatIsAskedFor(t *testing.T) {
	directory, deaths := t.TempDir(), 0
	d := &death{directory: directory, kill: func() { deaths++ }}
	d.before("step: a")
	write(t, directory, "die-at", "2 step: \n")
	for i, change := range []string{"step: b", "fill c", "step: d", "step: e", "step: f", "step: g"} {
		if d.before(change); (deaths > 0) != (i >= 2) {
			t.Errorf("%d deaths before %q", deaths, change)
		}
	}
	write(t, directory, "die-at", "1")
	d.before("fill h")
	write(t, directory, "die-at", "soon")
	d.before("fill i")
	if died := read(filepath.Join(directory, "died")); deaths != 2 || died != "step: d\nfill h" {
		t.Errorf("%d deaths, before %q", deaths, strings.Split(died, "\n"))
	}
}

func TestTheClockIsAheadAsItIsSaid(t *testing.T) {
	c := wrongClock{t.TempDir()}
	for content, ahead := range map[string]time.Duration{"24h\n": 24 * time.Hour, "-24h": -24 * time.Hour, "nonsense": 0} {
		write(t, c.directory, "clock", content)
		if off := c.now().Sub(time.Now().Add(ahead)).Abs(); off > time.Minute {
			t.Errorf("%q: off by %s", content, off)
		}
	}
}
