package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// settled is how long all may take to be as before a change.
const settled = time.Minute

// benchUpkeep moves the gateway under a joined machine, while its former address still serves and dead at once, and measures how long it takes until
// a request by way of the new one is served. Beside it is what is possible at all: a host that is no member, knows the gateway by its name in
// DNS, and just connects to it.
func benchUpkeep(ctx context.Context, s *stage, runs int) ([]Figure, error) {
	ours, err := hawserWay(ctx, s)
	if err != nil {
		return nil, err
	}
	member, err := s.member(ctx, ours)
	if err != nil {
		return nil, err
	}
	bare, err := s.add(ctx)
	if err != nil {
		return nil, err
	}
	var all []Figure
	for _, kind := range []struct {
		name  string
		flags []string
	}{{"alive", []string{"--overlap", "5s"}}, {"dead", nil}} {
		var followed, connected []float64
		for run := range runs {
			f, c, err := s.moved(ctx, member, bare, kind.flags)
			if err != nil {
				return nil, fmt.Errorf("the gateway moves, its former address %s: %w", kind.name, err)
			}
			s.say("former address %-5s %d/%d: a request is served after %.3f s, a bare connection stands after %.3f s", kind.name, run+1, runs, f.Seconds(), c.Seconds())
			followed, connected = append(followed, f.Seconds()), append(connected, c.Seconds())
		}
		all = append(all, figures("upkeep.gateway_"+kind.name, "s", followed, connected)...)
	}
	return all, nil
}

// member makes a machine and has it join.
func (s *stage) member(ctx context.Context, w way) (string, error) {
	machine, err := s.add(ctx)
	if err != nil {
		return "", err
	}
	if err := w.copied(ctx, machine); err != nil {
		return "", err
	}
	if err := w.install(ctx, machine); err != nil {
		return "", err
	}
	secret, err := w.prepare(ctx, machine)
	if err != nil {
		return "", err
	}
	if err := w.join(ctx, machine, secret); err != nil {
		return "", err
	}
	_, err = s.toPod(ctx, machine)
	return machine, err
}

// moved moves the gateway. The times are from when it has its new address.
func (s *stage) moved(ctx context.Context, member, bare string, flags []string) (followed, connected time.Duration, err error) {
	out, err := s.output(ctx, nil, "hawser-lab", append([]string{"gateway", "move"}, flags...)...)
	if err != nil {
		return 0, 0, err
	}
	began, address := time.Now(), strings.TrimSpace(out)
	waiting, cancel := context.WithTimeoutCause(ctx, settled, errTooLong)
	defer cancel()
	group, waiting := errgroup.WithContext(waiting)
	for _, w := range []struct {
		machine, observe string
		took             *time.Duration
	}{
		{member, "grep -q " + address + " /etc/hosts && curl -fsS -m 1 http://catalog:9080/ >/dev/null 2>&1", &followed},
		{bare, "getent ahostsv4 gateway.lab.internal | grep -q " + address + " && timeout 1 bash -c '</dev/tcp/" + address + "/15012' 2>/dev/null", &connected},
	} {
		group.Go(func() error {
			err := s.on(waiting, w.machine, "sh", "-c", fmt.Sprintf("until %s; do sleep %g; done", w.observe, pollPause.Seconds()))
			*w.took = time.Since(began)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	return followed, connected, s.quiet(ctx, member)
}

// quiet waits until the manager knows the machine as ready, and until the former address is gone.
func (s *stage) quiet(ctx context.Context, member string) error {
	return until(ctx, settled, 200*time.Millisecond, func(ctx context.Context) error {
		out, err := s.output(ctx, nil, "kubectl", "get", "machine", "-n", namespace, member, "-o", `jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status}{end}`)
		if err != nil {
			return err
		}
		former, err := s.output(ctx, nil, "kubectl", "get", "service", "-n", "istio-system", "eastwestgateway", "-o", `jsonpath={.metadata.annotations.lab\.hawser\.io/former-address}`)
		if err != nil {
			return err
		}
		_, end, serving := strings.Cut(former, " ")
		if until, err := time.Parse(time.RFC3339Nano, end); out != "True" || serving && err == nil && time.Now().Before(until) {
			return fmt.Errorf("machine %s is ready: %q; the former address serves until %q", member, out, end)
		}
		return nil
	})
}
