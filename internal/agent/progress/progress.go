// Package progress prints what a command does, step by step, for a person who waits for it. It knows nothing of the steps.
package progress

import (
	"fmt"
	"io"
	"time"
)

// Printer prints progress: a line for each step that is done and, on a terminal, the one under way.
type Printer struct {
	w        io.Writer
	terminal bool
	last     time.Time
	// noted keeps a note from being repeated with each attempt.
	noted string
}

// New returns a printer on w, which is a terminal or not; its first step begins now.
func New(w io.Writer, terminal bool) *Printer {
	return &Printer{w: w, terminal: terminal, last: time.Now()}
}

// eraseLine puts the cursor back to the start of the line and empties the line (ECMA-48 EL).
const eraseLine = "\r\x1b[K"

// Begin says what is under way. It is followed by Done, by another Begin, or by nothing.
func (p *Printer) Begin(what string) {
	if p.terminal {
		p.print("%s  … %s", eraseLine, what)
	}
}

// Done says what was reached; it took the time since the last one.
func (p *Printer) Done(what string) { p.Took(what, time.Since(p.last)) }

// Took is Done for something whose duration is known.
func (p *Printer) Took(what string, duration time.Duration) {
	p.last, p.noted = time.Now(), ""
	if p.terminal {
		p.print("%s  \x1b[32m✓\x1b[0m %-56s %6.1f s\n", eraseLine, what, duration.Seconds())
		return
	}
	p.print("  ✓ %-56s %6.1f s\n", what, duration.Seconds())
}

// Note says something that did not work and is tried again; the same words once.
func (p *Printer) Note(what string) {
	if what != p.noted {
		p.noted = what
		p.Remark(what + "; trying again")
	}
}

// Remark says something that did not work and that the rest goes on without.
func (p *Printer) Remark(what string) {
	if p.terminal {
		p.print("%s", eraseLine)
	}
	p.print("  · %s\n", what)
}

// Close takes away what was under way, so that an error starts on a line of its own.
func (p *Printer) Close() {
	if p.terminal {
		p.print("%s", eraseLine)
	}
}

// print ignores the writer's errors: a join goes on when nobody reads what it says.
func (p *Printer) print(format string, arguments ...any) {
	_, _ = fmt.Fprintf(p.w, format, arguments...)
}
