package istiotoken_test

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/manager/istiotoken"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		expiry time.Time
		life   time.Duration
		want   bool
	}{
		{"none", time.Unix(0, 0), day, true},
		{"expired", now.Add(-time.Second), day, true},
		{"fresh", now.Add(day), day, false},
		{"half_used", now.Add(12 * time.Hour), day, false},
		{"more_than_half_used", now.Add(12*time.Hour - time.Second), day, true},
		{"fresh_of_a_short_life", now.Add(time.Hour), time.Hour, false},
		{"used_of_a_short_life", now.Add(29 * time.Minute), time.Hour, true},
		{"fresh_of_a_shorter_life_than_is_wanted_now", now.Add(10 * time.Minute), day, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := istiotoken.Due(now, c.expiry, c.life); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
