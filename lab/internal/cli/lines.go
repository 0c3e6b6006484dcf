package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// lines prints progress, each line with the time since the start.
type lines struct {
	out   io.Writer
	start time.Time
	mu    sync.Mutex
}

func newLines(out io.Writer) *lines { return &lines{out: out, start: time.Now()} }

func (l *lines) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%6.1fs  %s\n", time.Since(l.start).Seconds(), text)
}

func (l *lines) step(step sandbox.Step) {
	switch {
	case step.Error != "":
		l.print(fmt.Sprintf("%s: failed: %s", step.Name, step.Error))
	case step.Done:
		l.print(fmt.Sprintf("%s: done in %.1fs", step.Name, step.Seconds))
	default:
		l.print(step.Name)
	}
}
