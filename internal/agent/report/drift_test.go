package report

import (
	"testing"
	"time"
)

// TestDriftIsToldForAWhile: what is said changes with what was repaired, not with how often, and ends by itself.
func TestDriftIsToldForAWhile(t *testing.T) {
	start := time.Unix(1e9, 0)
	d := Drift{}
	for _, step := range []struct {
		at     time.Duration
		repair string
		want   string
	}{
		{0, "", ""},
		{0, "traffic rules", "others changed, and Hawser put right: traffic rules"},
		{time.Minute, "traffic rules", "others changed, and Hawser put right: traffic rules"},
		{9 * time.Minute, "/etc/hosts", "others changed, and Hawser put right: /etc/hosts, traffic rules"},
		{18 * time.Minute, "", "others changed, and Hawser put right: /etc/hosts, traffic rules"},
		{19 * time.Minute, "", ""},
		{30 * time.Minute, "/etc/resolv.conf", "others changed, and Hawser put right: /etc/resolv.conf"},
	} {
		now := start.Add(step.at)
		if step.repair != "" {
			d = d.Repair(step.repair, now)
		}
		got := drifted(d, now)
		if got.message != step.want || (got.status == "True") != (step.want != "") || (got.reason == "InPlace") != (step.want == "") {
			t.Errorf("at %s: %+v, want %q", step.at, got, step.want)
		}
	}
	d.Contested = []Contested{
		{Thing: "traffic rules", Until: start.Add(time.Hour)},
		{Thing: "/etc/hosts", Refused: "it is immutable: chattr -i /etc/hosts", Until: start.Add(50 * time.Minute)},
		{Thing: "over", Until: start},
	}
	const want = "/etc/hosts cannot be put right: it is immutable: chattr -i /etc/hosts; traffic rules was changed by others again and again and is left alone: find out what on this host does that"
	if got := drifted(d, start.Add(30*time.Minute)); got.reason != "Contested" || got.message != want {
		t.Errorf("contested: %+v", got)
	}
	if at := d.Wake(); !at.Equal(start) || !(Drift{}).Wake().IsZero() {
		t.Errorf("wakes at %s", at)
	}
}
