package report

import (
	"strings"
	"testing"
	"time"
)

func TestAWrongClockIsNamed(t *testing.T) {
	signed := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		// obtained and now are by the host's clock, from when the manager signed by its own.
		obtained, now time.Duration
		connected     bool
		want          string
	}{
		"right":                         {time.Second, time.Hour, true, "Valid"},
		"expired-during-an-outage":      {time.Second, 2 * day, false, "AgentCertificateExpired"},
		"jumped-ahead":                  {time.Second, day + time.Hour, true, "ClockSkew"},
		"jumped-ahead-during-an-outage": {time.Second, day + time.Hour, false, "AgentCertificateExpired"},
		"jumped-ahead-and-renewed":      {day + time.Hour, day + 2*time.Hour, false, "ClockSkew"},
		"set-right-after-it-was-ahead":  {day + time.Hour, 2 * time.Hour, true, "Valid"},
		"jumped-back":                   {time.Second, -day, true, "ClockSkew"},
		"jumped-back-and-renewed":       {-day, -day + time.Hour, true, "ClockSkew"},
		"set-right-after-it-was-back":   {-day, time.Hour, true, "Valid"},
		"dated-back-by-the-manager":     {time.Second, -4 * time.Minute, true, "Valid"},
	} {
		t.Run(name, func(t *testing.T) {
			certificates := Certificates{
				Agent: Validity{Obtained: signed.Add(c.obtained), NotBefore: signed.Add(-5 * time.Minute), NotAfter: signed.Add(day)},
				Proxy: Validity{NotAfter: signed.Add(1000 * day)},
			}
			got := identityValid(certificates, c.connected, signed.Add(c.now))
			if got.reason != c.want {
				t.Errorf("reason %s, want %s", got.reason, c.want)
			}
			if c.want == "ClockSkew" && !strings.Contains(got.message, "timedatectl") {
				t.Errorf("message %q", got.message)
			}
		})
	}
}
