package plan_test

import (
	"strings"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/plan/plantest"
	"github.com/hawser-io/hawser/internal/golden"
)

// newVersion is what a machine is to run next.
func newVersion(want *hawserv1.DesiredState, digit string) {
	want.Generation = digit
	want.Proxy.Version, want.Proxy.ImageDigest = "1.31."+digit, "sha256:"+strings.Repeat(digit, 64)
}

func unitIs(h *plantest.Host, slot plan.Slot, change func(*plan.Unit)) {
	unit := h.State.Units[slot]
	change(&unit)
	h.State.Units[slot] = unit
}

// swapped is a machine whose proxy was replaced once: it is in slot b now, and the former one is gone.
func swapped(t *testing.T, h *plantest.Host) *hawserv1.DesiredState {
	want := plantest.Desired()
	converge(t, h, want)
	newVersion(want, "2")
	converge(t, h, want)
	unitIs(h, plan.SlotA, func(u *plan.Unit) { u.Drained = true })
	converge(t, h, want)
	return want
}

// TestSwap is about the proxy that takes over from another one. What damages a machine gets one that runs version 1 in slot a, or the one of swapped.
func TestSwap(t *testing.T) {
	next := func(_ *testing.T, _ *plantest.Host, want *hawserv1.DesiredState) { newVersion(want, "3") }
	// cut is a swap to slot b that was cut off once so many of its last steps were left.
	cut := func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState, left int) {
		newVersion(want, "2")
		seen, _ := h.Observe(t.Context(), want)
		steps := plan.Compute(want, seen)
		_ = h.Record(t.Context(), steps...)
		for _, step := range steps[:len(steps)-left] {
			if err := h.Apply(t.Context(), step); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		host   *plantest.Host
		inB    bool
		change func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState)
	}{
		"begun-and-cut-off-before-the-start": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) { cut(t, h, want, 4) }},
		"cut-off-after-the-start":            {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) { cut(t, h, want, 3) }},
		"cut-off-while-the-new-one-starts": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			cut(t, h, want, 3)
			unitIs(h, plan.SlotB, func(u *plan.Unit) { u.Ready = false })
		}},
		"cut-off-before-the-former-one-drains": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) { cut(t, h, want, 1) }},
		"moved-back-before-the-new-one-took-over": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			cut(t, h, want, 3)
			newVersion(want, "1")
			want.Proxy.Version = "1.31.0"
		}},
		"moved-on-before-the-new-one-took-over": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			cut(t, h, want, 3)
			newVersion(want, "3")
		}},
		"moved-on-and-the-one-in-between-has-drained": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			cut(t, h, want, 3)
			newVersion(want, "3")
			unitIs(h, plan.SlotB, func(u *plan.Unit) { u.Draining, u.Drained = true, true })
		}},
		"former-one-has-drained": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			cut(t, h, want, 0)
			unitIs(h, plan.SlotA, func(u *plan.Unit) { u.Drained = true })
		}},
		"former-one-waits-for-one-that-does-not-serve": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			cut(t, h, want, 1)
			unitIs(h, plan.SlotB, func(u *plan.Unit) { u.Ready = false })
		}},
		"back-to-slot-a":          {plantest.New(), true, next},
		"resolved-host":           {plantest.NewResolved(), false, next},
		"resolved-host-back-to-a": {plantest.NewResolved(), true, next},
		"in-slot-b-nothing-to-do": {plantest.New(), true, func(*testing.T, *plantest.Host, *hawserv1.DesiredState) {}},
		"in-slot-b-new-environment": {plantest.New(), true, func(_ *testing.T, _ *plantest.Host, want *hawserv1.DesiredState) {
			want.Mesh.Environment[0].Value = `{"app":"ratings","version":"$2"}`
		}},
		"in-slot-b-new-resolvers": {plantest.New(), true, func(_ *testing.T, h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Upstream = []byte("nameserver 192.0.2.54\n")
			h.State.Files[plan.ResolvConfFile] = plan.File{Mode: 0o644, Owner: plan.Root, Content: h.State.Upstream}
		}},
		"in-slot-b-dns-off": {plantest.New(), true, func(_ *testing.T, _ *plantest.Host, want *hawserv1.DesiredState) {
			want.Dns = &hawserv1.Dns{}
		}},
		"in-slot-b-interception-off": {plantest.New(), true, func(_ *testing.T, _ *plantest.Host, want *hawserv1.DesiredState) {
			want.Interception.Mode = hawserv1.Interception_MODE_NONE
		}},
		"in-slot-b-rules-flushed": {plantest.New(), true, func(_ *testing.T, h *plantest.Host, _ *hawserv1.DesiredState) {
			h.State.Interception, h.State.Leading = plan.Interception{}, ""
		}},
		"in-slot-b-reboot": {plantest.New(), true, func(_ *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			reboot(h, want)
			h.State.Units[plan.SlotB], h.State.Leading = plan.Unit{}, ""
		}},
		"no-time-to-drain": {plantest.New(), false, func(_ *testing.T, _ *plantest.Host, want *hawserv1.DesiredState) { want.Unit.DrainMilliseconds = 0 }},
		"by-iptables": {plantest.New(), false, func(t *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			h.State.Backend = plan.IPTables
			converge(t, h, want)
			newVersion(want, "2")
		}},
		"another-version-and-the-certificate-of-last-time": {plantest.New(), true, func(_ *testing.T, h *plantest.Host, want *hawserv1.DesiredState) {
			h.State.Identities[plan.SlotA], h.State.Identities[plan.SlotB] = "spiffe://cluster.local/ns/shop/sa/ratings", "spiffe://cluster.local/ns/shop/sa/ratings"
			newVersion(want, "3")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			want := plantest.Desired()
			if c.inB {
				want = swapped(t, c.host)
			} else {
				converge(t, c.host, want)
			}
			c.change(t, c.host, want)
			before := c.host.String()
			var plans []string
			for steps := converge(t, c.host, want); steps != "" && len(plans) < 4; steps = converge(t, c.host, want) {
				plans = append(plans, steps)
			}
			golden.Check(t, "swap/"+name+".txt", strings.Join(plans, "and then:\n")+"\n"+difference(before, c.host.String()))
			settled(t, c.host, want)
		})
	}
}
