package istiotoken

import "time"

// Due reports whether the agent needs a new token: it holds none, or the one that it holds has less than half of its life left. A token that
// is bound to an object is refused at once when the object goes, so the only danger is a time without a manager, and half a life is the
// longest that leaves as much again.
func Due(now, expiry time.Time, life time.Duration) bool {
	return expiry.Sub(now) < life/2
}
