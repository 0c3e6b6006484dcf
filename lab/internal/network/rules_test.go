package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/golden"
)

func TestRulesRender(t *testing.T) {
	for _, tt := range []struct {
		name  string
		state rules
	}{
		{name: "fresh", state: rules{}},
		{name: "balancers", state: rules{balancers: []netip.Addr{
			netip.MustParseAddr("172.31.0.241"), netip.MustParseAddr("172.31.0.240"),
		}}},
		{name: "forwarded", state: rules{balancers: []netip.Addr{netip.MustParseAddr("172.31.0.240")}, forwarded: map[netip.Addr][]uint16{
			netip.MustParseAddr("172.31.0.240"): {15012, 15443},
		}}},
		{name: "cut", state: rules{links: map[string]LinkState{
			"ratings-vm-1": {CutFrom: true, CutTo: true},
			"legacy-db":    {CutTo: true},
			"whole":        {},
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.state.bridge, tt.state.router = "machines", netip.MustParsePrefix("172.31.0.1/24")
			golden.Check(t, tt.name+".nft", tt.state.render())
		})
	}
}

func TestInterfaceName(t *testing.T) {
	for machine, want := range map[string]string{
		"ratings-vm-1":                    "vm-ratings-vm-1",
		"a":                               "vm-a",
		"a-name-longer-than-an-interface": "vm-a-nam-cf9087",
	} {
		got := interfaceName(machine)
		if got != want || len(got) > maxInterfaceName {
			t.Errorf("interface of %s is %s, want %s", machine, got, want)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"bridge name": func(c *Config) { c.Bridge = strings.Repeat("x", 16) },
		"router":      func(c *Config) { c.Router = netip.MustParsePrefix("172.31.0.0/24") },
		"no folder":   func(c *Config) { c.NetnsDir = "" },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
}
