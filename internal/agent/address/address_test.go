package address

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestListHasNoLoopbackAndNoLinkLocal(t *testing.T) {
	list, err := NewLister("192.0.2.1:15012").List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range list {
		if address := netip.MustParseAddr(text); address.IsLoopback() || address.IsLinkLocalUnicast() {
			t.Errorf("%s is in %v", address, list)
		}
	}
}

func TestPreferred(t *testing.T) {
	list := []string{"10.0.0.1", "172.31.0.11", "fd00::1"}
	for first, want := range map[string][]string{
		"":            list,
		"10.0.0.1":    list,
		"172.31.0.11": {"172.31.0.11", "10.0.0.1", "fd00::1"},
		"203.0.113.9": list,
	} {
		if got := preferred(list, first); !slices.Equal(got, want) {
			t.Errorf("preferred %q: %v, want %v", first, got, want)
		}
	}
}

// A machine with several addresses does not move to another one because its name server is away.
func TestListerKeepsTheRouteItFound(t *testing.T) {
	answers := []string{"172.31.0.11", "", "10.0.0.1", ""}
	lister := NewLister("gateway.example:15012")
	lister.route = func(context.Context, string) string {
		answer := answers[0]
		answers = answers[1:]
		return answer
	}
	var got []string
	for len(answers) > 0 {
		got = append(got, lister.source(t.Context()))
	}
	if want := []string{"172.31.0.11", "172.31.0.11", "10.0.0.1", "10.0.0.1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := Watch(ctx, func() {}); err != nil {
		t.Error(err)
	}
}
