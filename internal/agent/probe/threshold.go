package probe

// Verdict is what the probes so far say about the application.
type Verdict struct {
	Ready bool
	// Reason is the last failure's own words; empty while ready.
	Reason string
}

// Unknown is the verdict on an application that was never probed: not ready, like a container with a readiness probe at its start.
func Unknown() Verdict { return Verdict{Reason: "not probed yet"} }

// threshold turns outcomes into verdicts: as many successes or failures in a row as it takes change the verdict that it begins with.
type threshold struct {
	successes, failures int
	// row counts outcomes of one kind in a row: positive for successes, negative for failures.
	row     int
	verdict Verdict
}

func newThreshold(begin Verdict, successes, failures int) *threshold {
	return &threshold{successes: successes, failures: failures, verdict: begin}
}

// add takes one outcome in, nil for a success, and returns the verdict after it.
func (t *threshold) add(outcome error) Verdict {
	if outcome == nil {
		t.row = max(t.row, 0) + 1
		if t.row >= t.successes {
			t.verdict = Verdict{Ready: true}
		}
		return t.verdict
	}
	t.row = min(t.row, 0) - 1
	if -t.row >= t.failures || !t.verdict.Ready {
		t.verdict = Verdict{Reason: outcome.Error()}
	}
	return t.verdict
}
