package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/miekg/dns"
)

// recordTTL is short, so that a moved gateway is followed at once by whoever looks up again.
const recordTTL = 1

// Resolver is the machines' upstream nameserver. It knows the records set, all below one domain, and answers NXDOMAIN
// to everything else, so that a name that resolves in a machine does so through the lab or through the mesh.
type Resolver struct {
	listen netip.AddrPort
	domain string

	mu      sync.RWMutex
	records map[string][]netip.Addr
}

// NewResolver makes a resolver for names below domain ("lab.internal") at an address; it listens from Run on.
func NewResolver(listen netip.AddrPort, domain string) *Resolver {
	return &Resolver{listen: listen, domain: dns.CanonicalName(domain), records: map[string][]netip.Addr{}}
}

// Domain is the domain of the records, without a final dot.
func (r *Resolver) Domain() string { return r.domain[:len(r.domain)-1] }

// Set gives a host of the domain its addresses, in place of what it had. Without an address the name is gone.
func (r *Resolver) Set(host string, addrs ...netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := dns.CanonicalName(host + "." + r.domain)
	if len(addrs) == 0 {
		delete(r.records, name)
		return
	}
	r.records[name] = slices.Clone(addrs)
}

// Run serves UDP and TCP until the context ends. The first listener that fails ends the other.
func (r *Resolver) Run(ctx context.Context) error {
	packets, err := net.ListenPacket("udp", r.listen.String())
	if err != nil {
		return fmt.Errorf("network: DNS resolver: %w", err)
	}
	stream, err := net.Listen("tcp", r.listen.String())
	if err != nil {
		return errors.Join(fmt.Errorf("network: DNS resolver: %w", err), packets.Close())
	}
	handler := dns.HandlerFunc(r.serve)
	servers := []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: stream, Handler: handler}}
	ended := make(chan error, len(servers))
	for _, server := range servers {
		go func() { ended <- server.ActivateAndServe() }()
	}
	var first error
	waiting := len(servers)
	select {
	case <-ctx.Done():
	case first = <-ended:
		waiting--
	}
	// Closing what was opened here ends a server that has not started yet, too; Shutdown would refuse it.
	first = errors.Join(first, packets.Close(), stream.Close())
	for range waiting {
		<-ended
	}
	if ctx.Err() != nil {
		return nil
	}
	return first
}

func (r *Resolver) serve(w dns.ResponseWriter, query *dns.Msg) {
	// A client that has gone away is the only reason for an error here.
	_ = w.WriteMsg(r.answer(query))
}

// answer is the whole behaviour of the resolver: one question, A or AAAA or ANY of a record, else an empty answer for
// a known name and NXDOMAIN for an unknown one.
func (r *Resolver) answer(query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg)
	if len(query.Question) != 1 {
		return reply.SetRcode(query, dns.RcodeFormatError)
	}
	reply.SetReply(query)
	reply.Authoritative, reply.RecursionAvailable = true, true
	question := query.Question[0]
	addrs, known := r.lookup(question.Name)
	if !known {
		reply.Rcode = dns.RcodeNameError
		return reply
	}
	for _, addr := range addrs {
		if rr := record(question, addr); rr != nil {
			reply.Answer = append(reply.Answer, rr)
		}
	}
	return reply
}

func (r *Resolver) lookup(name string) ([]netip.Addr, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	name = dns.CanonicalName(name)
	addrs, known := r.records[name]
	return addrs, known || name == r.domain
}

func record(question dns.Question, addr netip.Addr) dns.RR {
	header := dns.RR_Header{Name: question.Name, Class: dns.ClassINET, Ttl: recordTTL}
	wanted := func(rrtype uint16) bool { return question.Qtype == rrtype || question.Qtype == dns.TypeANY }
	switch {
	case addr.Is4() && wanted(dns.TypeA):
		header.Rrtype = dns.TypeA
		return &dns.A{Hdr: header, A: addr.AsSlice()}
	case addr.Is6() && wanted(dns.TypeAAAA):
		header.Rrtype = dns.TypeAAAA
		return &dns.AAAA{Hdr: header, AAAA: addr.AsSlice()}
	}
	return nil
}
