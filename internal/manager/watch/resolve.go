package watch

import (
	"context"
	"maps"
	"slices"
	"time"
)

// resolve looks the gateways' host names up whenever there are others, and regularly. A name that does not resolve now keeps the
// addresses that it had, as a resolver that fails for a moment is no reason to cut machines off.
func (s *Source) resolve(ctx context.Context, wake <-chan struct{}) error {
	again := time.NewTicker(s.options.ResolveEvery)
	defer again.Stop()
	known := map[string][]string{}
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
		next := map[string][]string{}
		for _, name := range names {
			addresses, ok := known[name]
			if ok && !regular {
				next[name] = addresses
				continue
			}
			next[name] = s.lookUp(ctx, name, addresses)
		}
		known = next
		s.collect(s.wake, func(c *collector) bool { return c.services.resolve(maps.Clone(known)) })
	}
}

func (s *Source) lookUp(ctx context.Context, name string, known []string) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addresses, err := s.options.Resolver.LookupHost(ctx, name)
	if err != nil || len(addresses) == 0 {
		s.options.Logger.Warn("gateway's host name does not resolve", "hostname", name, "error", err)
		return known
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}
