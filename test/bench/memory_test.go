package main

import (
	"testing"
	"time"
)

func TestParseUsage(t *testing.T) {
	got, err := parseUsage("hawser-agent 100 90 50 4096 7000000\nenvoy 1000 900 500 8192 9\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := (usage{rss: 102400, pss: 92160, anonymous: 51200, binary: 4096, ran: 7 * time.Millisecond}); got["hawser-agent"] != want || len(got) != 2 {
		t.Errorf("got %+v", got)
	}
	for name, text := range map[string]string{"gone": "envoy\n", "words": "envoy a b c d e\n"} {
		if got, err := parseUsage(text); err == nil {
			t.Errorf("%s: no error, but %+v", name, got)
		}
	}
}

func TestMemoryFigures(t *testing.T) {
	one := func(ran time.Duration) usage { return usage{rss: 2e6, pss: 2e6, anonymous: 1e6, binary: 3e6, ran: ran} }
	for _, f := range memoryFigures([]idle{{one(60 * time.Millisecond), one(30 * time.Millisecond), one(0)}}) {
		switch {
		case f.Name == "memory.agent.cpu" && (f.Value != 0.1 || *f.Ratio != 2):
			t.Errorf("%+v: 60 ms of a minute are 0.1 %%", f)
		case f.Name == "memory.envoy.rss" && (f.Value != 2 || f.Baseline != nil):
			t.Errorf("%+v", f)
		}
	}
}
