package subscribe

import (
	"math/rand/v2"
	"time"
)

// Bounds of the pause between attempts. The upper one is short, as a machine that is not connected is out of rotation
// after the manager's grace of 10 s.
const (
	shortest = 100 * time.Millisecond
	longest  = 5 * time.Second
)

// backoff returns the pause before the attempt that follows failures failed ones: exponential with full jitter, so that
// machines which lost the same replica do not come back together.
func backoff(failures int) time.Duration {
	bound := longest
	if failures < 16 {
		bound = min(shortest<<failures, longest)
	}
	return rand.N(bound)
}
