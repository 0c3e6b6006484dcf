package cluster

import (
	"net/netip"
	"testing"
)

func TestNextAddress(t *testing.T) {
	addr := netip.MustParseAddr
	pool := addressPool{addr("172.31.0.240"), addr("172.31.0.242")}
	for name, test := range map[string]struct {
		after string
		used  []string
		want  string
	}{
		"first":                {"", nil, "172.31.0.240"},
		"first is used":        {"", []string{"172.31.0.240"}, "172.31.0.241"},
		"after another":        {"172.31.0.240", nil, "172.31.0.241"},
		"round the end":        {"172.31.0.242", nil, "172.31.0.240"},
		"round, over a used":   {"172.31.0.241", []string{"172.31.0.242", "172.31.0.240"}, "172.31.0.241"},
		"after a foreign":      {"10.0.0.1", nil, "172.31.0.240"},
		"none left":            {"", []string{"172.31.0.240", "172.31.0.241", "172.31.0.242"}, ""},
		"none left, from last": {"172.31.0.242", []string{"172.31.0.240", "172.31.0.241", "172.31.0.242"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			used := map[netip.Addr]bool{}
			for _, text := range test.used {
				used[addr(text)] = true
			}
			var after netip.Addr
			if test.after != "" {
				after = addr(test.after)
			}
			got, err := pool.next(after, used)
			if test.want == "" {
				if err == nil {
					t.Errorf("got %s from a full pool", got)
				}
				return
			}
			if err != nil || got != addr(test.want) {
				t.Errorf("got %s, %v, want %s", got, err, test.want)
			}
		})
	}
}
