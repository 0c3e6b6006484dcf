package istiotoken_test

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/manager/istiotoken"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		expiry  time.Time
		granted time.Duration
		want    bool
	}{
		{"none", time.Unix(0, 0), 0, true},
		{"expired", now.Add(-time.Second), 0, true},
		{"fresh", now.Add(24 * time.Hour), 0, false},
		{"half_used", now.Add(12 * time.Hour), 0, false},
		{"more_than_half_used", now.Add(12*time.Hour - time.Second), 0, true},
		{"fresh_of_a_short_life", now.Add(time.Hour), time.Hour, false},
		{"used_of_a_short_life", now.Add(29 * time.Minute), time.Hour, true},
		{"granted_more_than_asked", now.Add(13 * time.Hour), 365 * 24 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := istiotoken.Due(now, c.expiry, c.granted); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
