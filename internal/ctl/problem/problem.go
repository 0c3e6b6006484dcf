// Package problem turns errors of the Kubernetes API and of its client into what the user of the command line reads: what happened,
// on which object, and the next command to try. Errors come in with the request that failed, a Problem comes out. It prints
// nothing and asks nothing.
package problem

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Problem is an error with a way on.
type Problem struct {
	// What happened, on which object; no full stop.
	What string
	// Next is a command, or a sentence, that leads on.
	Next string
	// Cause may be nil. Its text is not shown: What has the part of it that helps.
	Cause error
}

// New makes a Problem without a cause.
func New(next, what string, args ...any) *Problem {
	return &Problem{What: fmt.Sprintf(what, args...), Next: next}
}

func (p *Problem) Error() string { return p.What }

func (p *Problem) Unwrap() error { return p.Cause }

// Print writes an error as the command line shows it: one line each for what happened and for what to try next.
func Print(w io.Writer, err error) {
	fmt.Fprintf(w, "hawser: %s\n", strings.TrimSpace(err.Error()))
	if p := (*Problem)(nil); errors.As(err, &p) && p.Next != "" {
		fmt.Fprintf(w, "  try: %s\n", p.Next)
	}
}
