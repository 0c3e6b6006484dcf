package probe

import "time"

// Next returns when to begin next what begins now and is done every period: at whole multiples of it by the clock. The agent's timers
// then go off together, and it wakes once where each by itself would wake it: waking costs more than asking. The time in between is
// half a period to one and a half, so that a timer that goes off early does not bring two at once.
func Next(now time.Time, period time.Duration) time.Time {
	left := period - now.Sub(now.Truncate(period))
	if left < period/2 {
		left += period
	}
	return now.Add(left)
}
