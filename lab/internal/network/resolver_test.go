package network

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func TestResolverAnswers(t *testing.T) {
	r := NewResolver(netip.AddrPort{}, "lab.internal")
	r.Set("gateway", netip.MustParseAddr("172.31.0.240"), netip.MustParseAddr("fd00::1"))
	r.Set("gone", netip.MustParseAddr("172.31.0.9"))
	r.Set("gone")
	for _, tt := range []struct {
		name, question, rcode, answer string
		qtype                         uint16
	}{
		{name: "v4", question: "gateway.lab.internal.", qtype: dns.TypeA, rcode: "NOERROR", answer: "172.31.0.240"},
		{name: "v6", question: "gateway.lab.internal.", qtype: dns.TypeAAAA, rcode: "NOERROR", answer: "fd00::1"},
		{name: "upper-case", question: "GateWay.LAB.internal.", qtype: dns.TypeA, rcode: "NOERROR", answer: "172.31.0.240"},
		{name: "other-type", question: "gateway.lab.internal.", qtype: dns.TypeMX, rcode: "NOERROR"},
		{name: "domain", question: "lab.internal.", qtype: dns.TypeA, rcode: "NOERROR"},
		{name: "removed", question: "gone.lab.internal.", qtype: dns.TypeA, rcode: "NXDOMAIN"},
		{name: "elsewhere", question: "web.shop.svc.cluster.local.", qtype: dns.TypeA, rcode: "NXDOMAIN"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reply := r.answer(new(dns.Msg).SetQuestion(tt.question, tt.qtype))
			var answers []string
			for _, rr := range reply.Answer {
				fields := strings.Fields(rr.String())
				answers = append(answers, fields[len(fields)-1])
			}
			rcode, answer := dns.RcodeToString[reply.Rcode], strings.Join(answers, " ")
			if rcode != tt.rcode || answer != tt.answer {
				t.Errorf("got %s %q, want %s %q", rcode, answer, tt.rcode, tt.answer)
			}
		})
	}
}

func TestResolverRefusesAnEmptyQuestion(t *testing.T) {
	reply := NewResolver(netip.AddrPort{}, "lab.internal").answer(new(dns.Msg))
	if reply.Rcode != dns.RcodeFormatError {
		t.Errorf("got %s, want FORMERR", dns.RcodeToString[reply.Rcode])
	}
}

func TestResolverEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewResolver(netip.MustParseAddrPort("127.0.0.1:0"), "lab.internal").Run(ctx); err != nil {
		t.Error(err)
	}
}
