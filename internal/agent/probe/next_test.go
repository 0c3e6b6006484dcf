package probe

import (
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	whole := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for now, want := range map[time.Duration]time.Duration{
		0:                       2 * time.Second,
		time.Millisecond:        2 * time.Second,
		time.Second:             2 * time.Second,
		1001 * time.Millisecond: 4 * time.Second,
		// The timer went off early.
		1999 * time.Millisecond: 4 * time.Second,
	} {
		if got := Next(whole.Add(now), 2*time.Second).Sub(whole); got != want {
			t.Errorf("%s after the beat: next after %s, want %s", now, got, want)
		}
	}
}
