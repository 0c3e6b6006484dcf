package watch

import (
	"context"
	"maps"
	"slices"
	"time"
)

// resolve looks the gateways' host names up whenever there are others, and regularly: nothing tells that a record has changed.
func (s *Source) resolve(ctx context.Context, wake <-chan struct{}) error {
	again := time.NewTicker(s.options.ResolveEvery)
	defer again.Stop()
	known := records{}
	for {
		regular := false
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		case <-again.C:
			regular = true
		}
		s.mu.Lock()
		names := s.collector.services.hostnames()
		s.mu.Unlock()
		maps.DeleteFunc(known, func(name string, _ record) bool { return !slices.Contains(names, name) })
		for _, name := range names {
			if before, ok := known[name]; regular || !ok {
				known[name] = s.lookUp(ctx, name, before)
			}
		}
		s.collect(s.wake, func(c *collector) bool { return c.services.resolve(known.addresses()) })
	}
}

func (s *Source) lookUp(ctx context.Context, name string, before record) record {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addresses, err := s.options.Resolver.LookupHost(ctx, name)
	next := before.answered(addresses, time.Now())
	if next.failed && !before.failed {
		s.options.Logger.Warn("gateway's host name does not resolve", "hostname", name, "error", err)
	}
	return next
}

// rotation is how long an address stays that the answers do not hold any more: name servers of large load balancers answer with some of
// many addresses, others each time, and machines must not be told of each answer.
const rotation = time.Minute

// record is what one host name resolves to.
type record struct {
	// seen is when each address was last in an answer.
	seen map[string]time.Time
	// failed: there was no answer the last time.
	failed bool
}

// answered is the record after one more answer. One that is empty keeps what is known, as a resolver that fails for a moment is no reason to cut
// machines off; one that has nothing in common with what is known replaces it, as the gateway has moved.
func (r record) answered(addresses []string, now time.Time) record {
	if len(addresses) == 0 {
		return record{seen: r.seen, failed: true}
	}
	next := map[string]time.Time{}
	common := slices.ContainsFunc(addresses, func(address string) bool { return !r.seen[address].IsZero() })
	for address, seen := range r.seen {
		if common && now.Sub(seen) < rotation {
			next[address] = seen
		}
	}
	for _, address := range addresses {
		next[address] = now
	}
	return record{seen: next}
}

// records by host name.
type records map[string]record

// addresses of each name, sorted; none for a name that never resolved.
func (r records) addresses() map[string][]string {
	all := map[string][]string{}
	for name, record := range r {
		all[name] = sortedKeys(record.seen)
	}
	return all
}
