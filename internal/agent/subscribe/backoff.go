package subscribe

import (
	"math/rand/v2"
	"time"

	"github.com/hawser-io/hawser/internal/refusal"
)

// Bounds of the pause between attempts. The upper one is short, as a machine that is not connected is out of rotation
// after the manager's grace of 10 s. A machine that the manager turned away for good has time: somebody has to do something first.
const (
	shortest       = 100 * time.Millisecond
	longest        = 5 * time.Second
	longestRefused = time.Minute
)

// backoff returns the pause before the attempt that follows failures failed ones, the last one with err: exponential with full jitter,
// so that machines which lost the same replica do not come back together.
func backoff(failures int, err error) time.Duration {
	bound := longest
	if refused, ok := refusal.FromError(err); ok && !refused.Retry {
		bound = longestRefused
	}
	if failures < 16 {
		bound = min(shortest<<failures, bound)
	}
	return rand.N(bound)
}
