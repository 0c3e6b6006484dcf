package resolver_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hawser-io/hawser/internal/agent/host/command/commandtest"
	"github.com/hawser-io/hawser/internal/agent/host/resolver"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// fakeHost has links, and a systemd-resolved that keeps settings of each.
type fakeHost struct {
	links map[string]*link
	// noDummies: the kernel makes pairs of links only.
	noDummies, noPairs bool
	// blind is how many settings systemd-resolved refuses until it has noticed the new link; negative: all.
	blind int
	// withoutResolvectl has no systemd-resolved.
	withoutResolvectl bool
	// failsAt is the setting that is refused for good.
	failsAt string
}

type link struct {
	up       bool
	address  string
	peer     string
	settings map[string]string
}

func (h *fakeHost) resolver() *resolver.Resolved {
	programs := commandtest.Programs{"ip": h.ip, "resolvectl": h.resolvectl}
	if h.withoutResolvectl {
		delete(programs, "resolvectl")
	}
	return resolver.New(programs, func(name string) bool { return h.links[name] != nil })
}

func (h *fakeHost) ip(args []string, _ string) (string, error) {
	refused := &commandtest.Exit{Code: 2, Complaint: "RTNETLINK answers: Operation not supported"}
	switch line := strings.Join(args, " "); {
	case line == "link add hawser0 type dummy":
		if h.noDummies {
			return "", refused
		}
		h.add("hawser0", "")
	case line == "link add hawser0 type veth peer name hawser1":
		if h.noPairs {
			return "", refused
		}
		h.add("hawser0", "hawser1")
		h.add("hawser1", "hawser0")
	case strings.HasPrefix(line, "link delete "):
		l := h.links[args[2]]
		if l == nil {
			return "", &commandtest.Exit{Code: 1, Complaint: "Cannot find device"}
		}
		delete(h.links, args[2])
		delete(h.links, l.peer)
	case strings.HasSuffix(line, " up"):
		h.links[args[2]].up = true
	case strings.HasPrefix(line, "address replace "):
		h.links[args[4]].address = args[2]
	case strings.HasSuffix(line, " addrgenmode none"):
		return "", refused
	default:
		return "", errors.New("ip " + line)
	}
	return "", nil
}

func (h *fakeHost) add(name, peer string) {
	if h.links == nil {
		h.links = map[string]*link{}
	}
	h.links[name] = &link{peer: peer, settings: map[string]string{}}
}

func (h *fakeHost) resolvectl(args []string, _ string) (string, error) {
	verb, l := args[0], h.links[args[1]]
	switch {
	case l == nil:
		return "", &commandtest.Exit{Code: 1, Complaint: "Failed to resolve interface"}
	case len(args) == 2:
		return fmt.Sprintf("Link 4 (%s): %s\n", args[1], l.settings[verb]), nil
	case h.blind != 0 || verb == h.failsAt:
		h.blind--
		return "", &commandtest.Exit{Code: 1, Complaint: "Link 4 not known"}
	}
	l.settings[verb] = strings.Join(args[2:], " ")
	return "", nil
}

// String is what a test compares.
func (h *fakeHost) String() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.links)) {
		l := h.links[name]
		fmt.Fprintf(&text, "%s up=%t %s\n", name, l.up, l.address)
		for _, verb := range slices.Sorted(maps.Keys(l.settings)) {
			fmt.Fprintf(&text, "  %s: %s\n", verb, l.settings[verb])
		}
	}
	return text.String()
}

var wanted = plan.Lookups{Server: "127.0.0.1:15053", Search: []string{"shop.svc.cluster.local", "svc.cluster.local", "cluster.local"}, Zones: []string{"svc"}}

const settings = "  default-route: no\n  dns: 127.0.0.1:15053\n  dnssec: no\n  domain: shop.svc.cluster.local svc.cluster.local cluster.local ~svc\n  llmnr: no\n  mdns: no\n"

func TestSetObserveRemove(t *testing.T) {
	const linkUp = "hawser0 up=true 169.254.15.53/32\n"
	for _, c := range []struct {
		name string
		host *fakeHost
		want string
	}{
		{"dummy link", &fakeHost{}, linkUp + settings},
		{"kernel without dummy links", &fakeHost{noDummies: true}, linkUp + settings + "hawser1 up=true \n"},
		{"slow systemd-resolved", &fakeHost{blind: 9}, linkUp + settings},
		{"link left by an earlier call", &fakeHost{links: map[string]*link{"hawser0": {settings: map[string]string{"dns": "127.0.0.1:15063", "domain": "old"}}}}, linkUp + settings},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := c.host.resolver()
				for range 2 {
					if err := r.Set(t.Context(), wanted); err != nil {
						t.Fatal(err)
					}
					if got := c.host.String(); got != c.want {
						t.Errorf("the host is\n%s\nwant\n%s", got, c.want)
					}
				}
				if seen, err := r.Observe(t.Context()); err != nil || !reflect.DeepEqual(seen, wanted) {
					t.Errorf("observed %+v, %v", seen, err)
				}
				for range 2 {
					if err := r.Remove(t.Context()); err != nil || c.host.String() != "" {
						t.Errorf("%v, left:\n%s", err, c.host)
					}
				}
				if seen, err := r.Observe(t.Context()); err != nil || !reflect.DeepEqual(seen, plan.Lookups{}) {
					t.Errorf("observed %+v, %v without a link", seen, err)
				}
			})
		})
	}
}

func TestSetSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, want string
		host       *fakeHost
	}{
		{"no links at all", "make link hawser0", &fakeHost{noDummies: true, noPairs: true}},
		{"systemd-resolved never notices", "systemd 246 or newer", &fakeHost{blind: -1}},
		{"old resolvectl", "systemd 246 or newer", &fakeHost{failsAt: "dns"}},
		{"no resolvectl", "tell systemd-resolved", &fakeHost{withoutResolvectl: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := c.host.resolver().Set(t.Context(), wanted); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("set: %v, want %q", err, c.want)
				}
				// What is half made is seen, so that it is finished or removed.
				if len(c.host.links) == 0 {
					return
				}
				if seen, err := c.host.resolver().Observe(t.Context()); err != nil || seen.Server != "none" {
					t.Errorf("observed %+v, %v", seen, err)
				}
				if err := c.host.resolver().Remove(t.Context()); err != nil || c.host.String() != "" {
					t.Errorf("%v, left:\n%s", err, c.host)
				}
			})
		})
	}
}
