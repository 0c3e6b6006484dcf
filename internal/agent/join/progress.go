package join

import (
	"fmt"
	"io"
	"time"
)

// Progress shows what a join does. Begin may be followed by Done, by another Begin, or by nothing.
type Progress interface {
	// Begin says what is under way.
	Begin(what string)
	// Done says what was reached; it took the time since the last Done.
	Done(what string)
	// Took is Done for something whose duration is known.
	Took(what string, duration time.Duration)
	// Note says something that did not work and is tried again.
	Note(what string)
}

// Printer prints progress: a line for each step that is done and, on a terminal, the one under way.
type Printer struct {
	w        io.Writer
	terminal bool
	last     time.Time
	// noted keeps a note from being repeated with each attempt.
	noted string
}

var _ Progress = (*Printer)(nil)

// NewPrinter returns a printer whose first step begins now.
func NewPrinter(w io.Writer, terminal bool) *Printer {
	return &Printer{w: w, terminal: terminal, last: time.Now()}
}

// eraseLine puts the cursor back to the start of the line and empties the line (ECMA-48 EL).
const eraseLine = "\r\x1b[K"

func (p *Printer) Begin(what string) {
	if p.terminal {
		p.print("%s  … %s", eraseLine, what)
	}
}

func (p *Printer) Done(what string) { p.Took(what, time.Since(p.last)) }

func (p *Printer) Took(what string, duration time.Duration) {
	p.last, p.noted = time.Now(), ""
	if p.terminal {
		p.print("%s  \x1b[32m✓\x1b[0m %-56s %6.1f s\n", eraseLine, what, duration.Seconds())
		return
	}
	p.print("  ✓ %-56s %6.1f s\n", what, duration.Seconds())
}

func (p *Printer) Note(what string) {
	if what == p.noted {
		return
	}
	p.noted = what
	if p.terminal {
		p.print("%s", eraseLine)
	}
	p.print("  · %s; trying again\n", what)
}

// print ignores the writer's errors: a join goes on when nobody reads what it says.
func (p *Printer) print(format string, arguments ...any) {
	_, _ = fmt.Fprintf(p.w, format, arguments...)
}
