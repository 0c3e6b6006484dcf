package interception

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/plan"
)

func TestLeadRules(t *testing.T) {
	for name, c := range map[string]struct {
		to   plan.Leading
		want string
	}{
		"to slot b": {plan.Leading{ToB: true, Answers: true, Nameservers: []string{"192.0.2.53", "2001:db8::53", "fe80::1%eth0", "no address"}}, `add table inet hawser-lookups
delete table inet hawser-lookups
table inet hawser-lookups {
	chain track {
		type filter hook output priority -310; policy accept;
		meta skuid 1337 udp sport 15063 ct zone set 3
		meta skuid != 1337 meta skgid != 1337 ip daddr { 192.0.2.53 } udp dport 53 ct zone set 3
		meta skuid != 1337 meta skgid != 1337 ip6 daddr { 2001:db8::53 } udp dport 53 ct zone set 3
	}
	chain lead {
		type nat hook output priority -110; policy accept;
		meta skuid != 1337 meta skgid != 1337 ip daddr { 192.0.2.53 } udp dport 53 redirect to :15063
		meta skuid != 1337 meta skgid != 1337 ip daddr { 192.0.2.53 } tcp dport 53 redirect to :15063
		meta skuid != 1337 meta skgid != 1337 ip6 daddr { 2001:db8::53 } udp dport 53 redirect to :15063
		meta skuid != 1337 meta skgid != 1337 ip6 daddr { 2001:db8::53 } tcp dport 53 redirect to :15063
	}
}
`},
		"back, its answers still arrive": {plan.Leading{Answers: true}, `add table inet hawser-lookups
delete table inet hawser-lookups
table inet hawser-lookups {
	chain track {
		type filter hook output priority -310; policy accept;
		meta skuid 1337 udp sport 15063 ct zone set 3
	}
}
`},
		"not at all": {plan.Leading{}, "add table inet hawser-lookups\ndelete table inet hawser-lookups\n"},
	} {
		if got := leadRules(c.to); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, c.want)
		}
	}
}

func TestLookupsAreLedAndBack(t *testing.T) {
	h := newHost(t)
	traffic, before := h.traffic(), h.String()
	led := func(want string) {
		t.Helper()
		if got, err := traffic.Led(t.Context()); err != nil || got != want {
			t.Errorf("led %q, %v, want %q", got, err, want)
		}
	}
	led("")
	toB := plan.Leading{ToB: true, Answers: true, Nameservers: []string{"192.0.2.53"}}
	for _, to := range []plan.Leading{toB, {Answers: true}, toB} {
		if err := traffic.Lead(t.Context(), to); err != nil {
			t.Fatal(err)
		}
		led(to.String())
	}
	h.inet[tableLookups] = strings.Replace(h.inet[tableLookups], "15063", "15064", 1)
	led(damaged)
	delete(h.inet, tableLookups)
	led("")
	if err := traffic.Lead(t.Context(), toB); err != nil {
		t.Fatal(err)
	}
	// Whoever takes the traffic rules away takes these, too.
	if err := traffic.Remove(t.Context(), plan.NFTables); err != nil {
		t.Fatal(err)
	}
	led("")
	for _, to := range []plan.Leading{toB, {}} {
		if err := traffic.Lead(t.Context(), to); err != nil {
			t.Fatal(err)
		}
	}
	led("")
	if after := h.String(); after != before {
		t.Errorf("the host is\n%s\nwant\n%s", after, before)
	}
}

func TestAHostWithoutNFTablesLeadsNothing(t *testing.T) {
	h := newHost(t)
	traffic := h.traffic()
	if err := traffic.Lead(t.Context(), plan.Leading{Answers: true}); err != nil {
		t.Fatal(err)
	}
	h.lacks = []string{"nft"}
	if led, err := h.traffic().Led(t.Context()); err != nil || led != "" {
		t.Errorf("led %q, %v", led, err)
	}
}
