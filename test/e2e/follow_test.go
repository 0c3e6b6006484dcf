//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"iter"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// endOfRecord is printed after each object that a jsonpath is applied to.
const endOfRecord = "\x1e"

// following is the command that prints what a `kubectl get` does whenever it changes, and what ends each of its records: a line of a table, or what
// the jsonpath makes of one object. Other formats, and what a jsonpath makes of a list, are of several lines or of all objects at once, and are not followed.
func following(name string, argv []string) (followed []string, separator string, ok bool) {
	if name != "kubectl" || len(argv) == 0 || argv[0] != "get" {
		return nil, "", false
	}
	followed, separator = append(followed, argv...), "\n"
	for i, arg := range argv {
		if i == 0 || argv[i-1] != "-o" {
			continue
		}
		switch format, _, _ := strings.Cut(arg, "="); format {
		case "jsonpath":
			followed[i], separator = arg+endOfRecord, endOfRecord
			if strings.Contains(arg, ".items") {
				return nil, "", false
			}
		case "name", "wide", "custom-columns":
		default:
			return nil, "", false
		}
	}
	return append(followed, "--watch"), separator, true
}

// follow runs a command that follows until a record matches, and reports whether one did in time. It is started anew when it ends, as it does if the
// object is not there yet or the API server goes away.
func follow(ts *testscript.TestScript, r repeated, argv []string, separator string) bool {
	ctx, cancel := context.WithDeadline(context.Background(), r.start.Add(r.limit))
	defer cancel()
	again := time.NewTicker(pace(r.limit))
	defer again.Stop()
	for {
		for record := range records(ctx, ts, r.name, argv, separator) {
			if r.pattern.MatchString(record) {
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
}

// records starts a command, and are what it prints, as it does, until it ends or is ended with the loop or the context.
func records(ctx context.Context, ts *testscript.TestScript, name string, argv []string, separator string) iter.Seq[string] {
	ctx, cancel := context.WithCancel(ctx)
	command := program(ctx, ts, name, argv)
	out, err := command.StdoutPipe()
	ts.Check(err)
	if err := command.Start(); err != nil {
		tooLate := ctx.Err() != nil
		cancel()
		if !tooLate {
			ts.Fatalf("%s: %v", name, err)
		}
		return func(func(string) bool) {}
	}
	return func(yield func(string) bool) {
		// It ends by the signal, or has ended by itself: neither says anything about what it printed.
		defer func() { cancel(); _ = command.Wait() }()
		for scanner := endingIn(bufio.NewScanner(out), separator); scanner.Scan(); {
			if !yield(scanner.Text()) {
				return
			}
		}
	}
}

func endingIn(scanner *bufio.Scanner, separator string) *bufio.Scanner {
	scanner.Split(func(data []byte, _ bool) (int, []byte, error) {
		if end := bytes.Index(data, []byte(separator)); end >= 0 {
			return end + len(separator), data[:end], nil
		}
		return 0, nil, nil
	})
	return scanner
}
