package report

import "time"

// reasonClockSkew is IdentityValid's when it is this host's clock that makes a certificate look invalid.
const reasonClockSkew = "ClockSkew"

// clockWrong tells a certificate that is not valid at this host's time because that is wrong, from one that has expired while the manager was
// away. The manager signs by its own clock: what has expired by the time that it comes, or is not valid yet, shows another clock. One day back or
// ahead is enough to see, as certificates live for a day; nothing is thrown away for it, since those who are shown a certificate have clocks of
// their own.
func (v Validity) clockWrong(now time.Time) bool {
	if v.NotAfter.IsZero() {
		return false
	}
	expiredWhenItCame := !v.Obtained.Before(v.NotAfter) && !now.Before(v.NotAfter)
	return expiredWhenItCame || now.Before(v.NotBefore)
}
