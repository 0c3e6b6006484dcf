package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// joined is what one join took.
type joined struct {
	// installed is the time of installing the package, and prepared that of the commands elsewhere.
	installed, prepared time.Duration
	// These count from the start of the first command on the machine: until the last one returned, and until the first served
	// request in each direction.
	returned, toPod, toMachine time.Duration
}

func (j joined) both() time.Duration { return max(j.toPod, j.toMachine) }

// benchJoin joins fresh machines, each way in turn, after one of each that does not count: it puts the proxy's bytes into the
// manager's cache, and all that is read into the host's.
func benchJoin(ctx context.Context, s *stage, runs int) ([]Figure, error) {
	ours, err := hawserWay(ctx, s)
	if err != nil {
		return nil, err
	}
	theirs, err := upstreamWay(ctx, s)
	if err != nil {
		return nil, err
	}
	found := map[string][]joined{}
	err = s.withCaller(ctx, func(c *caller) error {
		for run := range runs + 1 {
			for _, w := range []way{ours, theirs} {
				took, err := s.join(ctx, c, w)
				if err != nil {
					return fmt.Errorf("join by the way of %s: %w", w.name, err)
				}
				s.say("%-8s %d/%d: prepared in %.2f s, returned after %.2f s, served a pod after %.2f s and by a pod after %.2f s", w.name,
					run, runs, took.prepared.Seconds(), took.returned.Seconds(), took.toMachine.Seconds(), took.toPod.Seconds())
				if run > 0 {
					found[w.name] = append(found[w.name], took)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return joinFigures(found[ours.name], found[theirs.name], ours.commands(), theirs.commands()), nil
}

func joinFigures(ours, theirs []joined, ourCommands, theirCommands int) []Figure {
	var all []Figure
	for _, part := range []struct {
		name string
		of   func(joined) time.Duration
	}{
		{"join.both", joined.both},
		{"join.machine_to_pod", func(j joined) time.Duration { return j.toPod }},
		{"join.pod_to_machine", func(j joined) time.Duration { return j.toMachine }},
		{"join.prepared", func(j joined) time.Duration { return j.prepared }},
		{"join.installed", func(j joined) time.Duration { return j.installed }},
	} {
		all = append(all, figures(part.name, "s", seconds(ours, part.of), seconds(theirs, part.of))...)
	}
	// Upstream's last command returns once the proxy is started, ours once the machine is a member: these do not compare.
	all = append(all, figures("join.returned", "s", seconds(ours, func(j joined) time.Duration { return j.returned }), nil)...)
	return append(all, figure("join.commands", "commands", float64(ourCommands), float64(theirCommands)))
}

func seconds(of []joined, part func(joined) time.Duration) []float64 {
	var all []float64
	for _, j := range of {
		all = append(all, part(j).Seconds())
	}
	return all
}

// join makes a machine, has it join, and removes it.
func (s *stage) join(ctx context.Context, c *caller, w way) (joined, error) {
	var took joined
	machine, err := s.add(ctx)
	if err != nil {
		return took, err
	}
	if err := w.copied(ctx, machine); err != nil {
		return took, err
	}
	before := time.Now()
	if err := w.install(ctx, machine); err != nil {
		return took, err
	}
	took.installed = time.Since(before)
	if err := c.nobody(ctx); err != nil {
		return took, err
	}
	before = time.Now()
	secret, err := w.prepare(ctx, machine)
	if err != nil {
		return took, err
	}
	took.prepared = time.Since(before)
	if err := s.timed(ctx, c, w, machine, secret, &took); err != nil {
		return took, err
	}
	if err := s.remove(ctx, machine); err != nil {
		return took, err
	}
	return took, s.removeMembers(ctx)
}

// timed runs the commands on the machine, and requests both ways from their beginning on.
func (s *stage) timed(ctx context.Context, c *caller, w way, machine, secret string, took *joined) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errTooLong)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	group.Go(func() error {
		err := w.join(ctx, machine, secret)
		took.returned = time.Since(began)
		return err
	})
	group.Go(func() error {
		served, err := s.toPod(ctx, machine)
		took.toPod = served.Sub(began)
		return err
	})
	group.Go(func() error {
		served, err := c.toMachine(ctx, machine)
		took.toMachine = served.Sub(began)
		return err
	})
	return group.Wait()
}
