//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// outcome says after each run of a repeated verb whether the repetition is decided.
type outcome func(matched, expired bool) (done bool, failure string)

func untilMatch(matched, expired bool) (bool, string) {
	if !matched && expired {
		return true, "did not happen"
	}
	return matched, ""
}

func untilNoMatch(matched, expired bool) (bool, string) {
	if matched && expired {
		return true, "did not end"
	}
	return !matched, ""
}

func alwaysMatch(matched, expired bool) (bool, string) {
	if !matched {
		return true, "ended"
	}
	return expired, ""
}

// until repeats `DURATION PATTERN VERB…` until the output matches. What kubectl can follow is not repeated: it tells of each change.
func until(ts *testscript.TestScript, neg bool, args []string) {
	r := parseRepeated(ts, neg, args).patient(ts)
	if argv, separator, ok := following(r.name, r.argv); ok {
		if follow(ts, r, argv, separator) {
			r.took(ts)
			return
		}
		// What happened in the last moment is seen by looking once more.
		r.start = r.start.Add(-r.limit)
	}
	r.repeat(ts, untilMatch)
}

func untilNot(ts *testscript.TestScript, neg bool, args []string) {
	parseRepeated(ts, neg, args).patient(ts).repeat(ts, untilNoMatch)
}

func always(ts *testscript.TestScript, neg bool, args []string) {
	parseRepeated(ts, neg, args).repeat(ts, alwaysMatch)
}

// repeated is a command that is looked at again and again, from start on, for a time of limit.
type repeated struct {
	text    string
	name    string
	argv    []string
	pattern *regexp.Regexp
	// limit is how long it is looked at, promised how long the scenario says.
	limit, promised time.Duration
	start           time.Time
}

// patience is the key of how many times what a scenario waits for may take as long as it says.
type patience struct{}

// patient waits as long as the scenario's patience allows.
func (r repeated) patient(ts *testscript.TestScript) repeated {
	r.limit *= time.Duration(ts.Value(patience{}).(int))
	return r
}

// took tells how long it took, and whether that was too long for a machine that had time.
func (r repeated) took(ts *testscript.TestScript) {
	late, took := "", time.Since(r.start)
	if took > r.promised {
		late = fmt.Sprintf(", late: it is to take %s", r.promised)
	}
	ts.Logf("%s after %s%s", r.text, took.Round(time.Millisecond), late)
}

func parseRepeated(ts *testscript.TestScript, neg bool, args []string) repeated {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: until|untilnot|always DURATION PATTERN VERB…")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	c, ok := commands()[args[2]]
	if !ok {
		ts.Fatalf("%s is not a verb that can be repeated", args[2])
	}
	name, argv := c(ts, args[3:])
	return repeated{text: strings.Join(args[1:], " "), name: name, argv: argv, pattern: pattern, limit: limit, promised: limit, start: time.Now()}
}

func (r repeated) repeat(ts *testscript.TestScript, decide outcome) {
	runs := 0
	seen, failure := watch(r.start, r.limit, pace(r.promised), decide, func() (string, bool) {
		runs++
		out, err := quietly(ts, r.name, r.argv)
		return fmt.Sprintf("%v\n%s", err, out), err == nil && r.pattern.MatchString(out)
	})
	if failure != "" {
		ts.Fatalf("%s: %s within %s (%d runs); last: %s", r.text, failure, r.limit, runs, seen)
	}
	r.took(ts)
}

// pace is how often something is looked at that may take so long: often enough to tell, and no more, since each look is a program that runs, and
// scenarios that run side by side share two processors.
func pace(limit time.Duration) time.Duration {
	return min(max(limit/30, 100*time.Millisecond), 500*time.Millisecond)
}

// watch looks every so often until decide is done, and returns what was seen last and the failure, empty if there is none.
func watch(start time.Time, limit, every time.Duration, decide outcome, look func() (seen string, matched bool)) (seen, failure string) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		seen, matched := look()
		if done, failure := decide(matched, time.Since(start) > limit); done {
			return seen, failure
		}
		<-tick.C
	}
}
