package report

import "time"

// reasonClockSkew is IdentityValid's when it is this host's clock that makes a certificate look invalid.
const reasonClockSkew = "ClockSkew"

// clockWrong tells a certificate that is not valid at this host's time because that is wrong, from one that has expired while the manager was
// away. The manager signs by its own clock: what has expired by the time that it comes, or is not valid yet, shows another clock. So does what has
// expired while the manager takes it: it ends a stream with the certificate that the stream was opened with. One day back or ahead is enough to see,
// as certificates live for a day; nothing is thrown away for it, since those who are shown a certificate have clocks of their own.
func (v Validity) clockWrong(taken bool, now time.Time) bool {
	if v.NotAfter.IsZero() {
		return false
	}
	expired := !now.Before(v.NotAfter)
	expiredWhenItCame := !v.Obtained.Before(v.NotAfter)
	return expired && (taken || expiredWhenItCame) || now.Before(v.NotBefore)
}
