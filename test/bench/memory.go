package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// settle is how long machines are left alone before the measurement begins, and window how long that lasts.
	settle = 30 * time.Second
	window = time.Minute
)

// usage is what the kernel says of one process.
type usage struct {
	// Bytes: resident, its share of them, its own that are not of a file, and the size of its executable.
	rss, pss, anonymous, binary float64
	// ran is the processor time of its threads so far.
	ran time.Duration
}

// usageScript prints one line for each process: its name and the fields of usage, in kB, bytes and nanoseconds.
const usageScript = `set -e
for name in hawser-agent pilot-agent envoy; do
	pid=$(pgrep -o -x "$name")
	rss=$(awk '$1 == "VmRSS:" {print $2}' /proc/$pid/status)
	shared=$(awk '$1 == "Pss:" {pss = $2} $1 == "Anonymous:" {own = $2} END {print pss, own}' /proc/$pid/smaps_rollup)
	ran=$(cat /proc/$pid/task/*/schedstat | awk '{sum += $1} END {printf "%.0f", sum}')
	echo "$name $rss $shared $(stat -L -c %s /proc/$pid/exe) $ran"
done`

// parseUsage reads the output of usageScript.
func parseUsage(text string) (map[string]usage, error) {
	all := map[string]usage{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) != 6 {
			return nil, fmt.Errorf("not the usage of a process: %q", line)
		}
		var numbers [5]float64
		for i, field := range fields[1:] {
			number, err := strconv.ParseFloat(field, 64)
			if err != nil {
				return nil, fmt.Errorf("not the usage of a process: %q: %w", line, err)
			}
			numbers[i] = number
		}
		all[fields[0]] = usage{
			rss: numbers[0] * 1024, pss: numbers[1] * 1024, anonymous: numbers[2] * 1024, binary: numbers[3],
			ran: time.Duration(numbers[4]),
		}
	}
	return all, nil
}

// idle is what one machine's processes used in the window; ran is that of the window alone.
type idle struct{ agent, pilotAgent, envoy usage }

func benchMemory(ctx context.Context, s *stage, runs int) ([]Figure, error) {
	ours, err := hawserWay(ctx, s)
	if err != nil {
		return nil, err
	}
	machines, err := s.members(ctx, ours, runs)
	if err != nil {
		return nil, err
	}
	s.say("measuring: %s to settle, then %s", settle, window)
	if err := wait(ctx, settle); err != nil {
		return nil, err
	}
	found := make([]idle, len(machines))
	group, ctx := errgroup.WithContext(ctx)
	for i, machine := range machines {
		group.Go(func() (err error) {
			found[i], err = s.watch(ctx, machine)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return memoryFigures(found), nil
}

// members makes machines that have joined and served a request each way.
func (s *stage) members(ctx context.Context, w way, count int) ([]string, error) {
	var machines []string
	err := s.withCaller(ctx, func(c *caller) error {
		for range count {
			machine, err := s.add(ctx)
			if err != nil {
				return err
			}
			s.say("%s joins", machine)
			if err := w.copied(ctx, machine); err != nil {
				return err
			}
			if err := w.install(ctx, machine); err != nil {
				return err
			}
			secret, err := w.prepare(ctx, machine)
			if err != nil {
				return err
			}
			if err := s.timed(ctx, c, w, machine, secret, &joined{}); err != nil {
				return err
			}
			machines = append(machines, machine)
		}
		return nil
	})
	return machines, err
}

// watch looks at a machine's processes at both ends of the window.
func (s *stage) watch(ctx context.Context, machine string) (idle, error) {
	began := time.Now()
	before, err := s.usage(ctx, machine)
	if err != nil {
		return idle{}, err
	}
	if err := wait(ctx, window); err != nil {
		return idle{}, err
	}
	after, err := s.usage(ctx, machine)
	if err != nil {
		return idle{}, err
	}
	// As the window is not exactly as long as it should be, what ran is scaled to it.
	scale := float64(window) / float64(time.Since(began))
	of := func(name string) usage {
		u := after[name]
		u.ran = time.Duration(float64(u.ran-before[name].ran) * scale)
		return u
	}
	return idle{of("hawser-agent"), of("pilot-agent"), of("envoy")}, nil
}

func (s *stage) usage(ctx context.Context, machine string) (map[string]usage, error) {
	out, err := s.output(ctx, nil, "hawser-lab", "vm", "exec", machine, "--", "sh", "-c", usageScript)
	if err != nil {
		return nil, err
	}
	return parseUsage(out)
}

func memoryFigures(found []idle) []Figure {
	const megabyte = 1e6
	column := func(of func(idle) float64) []float64 {
		var all []float64
		for _, i := range found {
			all = append(all, of(i))
		}
		return all
	}
	percent := func(u usage) float64 { return 100 * float64(u.ran) / float64(window) }
	agent := func(of func(usage) float64) []float64 { return column(func(i idle) float64 { return of(i.agent) }) }
	pilotAgent := func(of func(usage) float64) []float64 {
		return column(func(i idle) float64 { return of(i.pilotAgent) })
	}
	var all []Figure
	for _, part := range []struct {
		name string
		of   func(usage) float64
	}{
		{"memory.agent.rss", func(u usage) float64 { return u.rss / megabyte }},
		{"memory.agent.pss", func(u usage) float64 { return u.pss / megabyte }},
		{"memory.agent.anonymous", func(u usage) float64 { return u.anonymous / megabyte }},
	} {
		all = append(all, figures(part.name, "MB", agent(part.of), pilotAgent(part.of))...)
	}
	all = append(all, figures("memory.envoy.rss", "MB", column(func(i idle) float64 { return i.envoy.rss / megabyte }), nil)...)
	size := func(u usage) float64 { return u.binary / megabyte }
	all = append(all, figure("memory.agent.binary", "MB", median(agent(size)), median(pilotAgent(size))))
	return append(all, figures("memory.agent.cpu", "%", agent(percent), pilotAgent(percent))...)
}

// wait lets time pass, which is what an idle process is measured in.
func wait(ctx context.Context, period time.Duration) error {
	timer := time.NewTimer(period)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
