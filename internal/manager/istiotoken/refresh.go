package istiotoken

import "time"

// Lifetime is asked for; the API server may grant less (--service-account-max-token-expiration).
const Lifetime = 24 * time.Hour

// Due reports whether the agent needs a new token: it holds none, or the one that it holds has less than half of Lifetime, or of the life
// that was granted last (0 if unknown), left. A token that is bound to an object is refused at once when the object goes, so the only
// danger is a time without a manager, and half a life is the longest that leaves as much again.
func Due(now, expiry time.Time, granted time.Duration) bool {
	if granted <= 0 || granted > Lifetime {
		granted = Lifetime
	}
	return expiry.Sub(now) < granted/2
}
