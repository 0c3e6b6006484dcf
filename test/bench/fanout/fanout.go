package fanout

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"slices"
	"time"
)

// Options of a run.
type Options struct {
	// Agents that are simulated, Groups that they are of, and Rounds of each kind of change.
	Agents, Groups, Rounds int
	// Idle is how long nothing changes while writes are counted.
	Idle time.Duration
	// Rest is how long after the last write memory is measured: it is what a manager has that has nothing to do. What it had at most is told too.
	Rest time.Duration
	// Manager is the path of hawser-manager, Assets the folder of kube-apiserver and etcd, Root that of the checkout.
	Manager, Assets, Root string
	// Bare are the program and arguments that run ServeBare.
	Bare []string
	// Say tells what is being done.
	Say func(format string, arguments ...any)
}

// Figure is one value; Baseline is that of the bare server, NaN if there is none.
type Figure struct {
	Name, Unit      string
	Value, Baseline float64
}

// run is what one run has to hand on from step to step.
type run struct {
	Options
	cluster *cluster
	manager *process
	fleet   *fleet
	figures []Figure
}

func (r *run) note(name, unit string, value float64) {
	r.figures = append(r.figures, Figure{Name: name, Unit: unit, Value: value, Baseline: math.NaN()})
	r.Say("%s: %.3f %s", name, value, unit)
}

// collectLate is GOGC of the agents' process: what they hold is not measured, and to collect it takes the processors from what is.
const collectLate = 400

// Run measures. It removes all that it made, also when ctx ends.
func Run(ctx context.Context, options Options) (figures []Figure, err error) {
	directory, err := os.MkdirTemp("", "hawser-fanout-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(directory)) }()
	if err := raiseFileLimit(options.Agents); err != nil {
		return nil, err
	}
	defer debug.SetGCPercent(debug.SetGCPercent(collectLate))
	r := &run{Options: options}
	r.Say("starting kube-apiserver and etcd")
	if r.cluster, err = startCluster(ctx, options, directory); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.cluster.stop()) }()
	if r.manager, err = startManager(ctx, options.Manager, r.cluster); err != nil {
		return nil, err
	}
	defer func() { r.manager.kill() }()
	if err := r.populate(ctx); err != nil {
		return nil, err
	}
	defer func() { r.fleet.stop() }()
	for _, step := range []func(context.Context) error{r.changeAll, r.changeOne, r.idle, r.storm, r.bare} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r.figures, nil
}

// populate connects all agents, and measures the manager's memory before there was a machine and after.
func (r *run) populate(ctx context.Context) error {
	if err := r.cluster.quiet(ctx); err != nil {
		return err
	}
	before, err := r.manager.memory("VmRSS")
	if err != nil {
		return err
	}
	r.Say("making %d machines and their certificates", r.Agents)
	r.fleet = newFleet(r.manager.address)
	if err := r.cluster.enroll(ctx, r.fleet, r.Agents, r.Groups); err != nil {
		return err
	}
	r.Say("connecting them")
	began := time.Now()
	r.fleet.start()
	if err := r.fleet.wait(ctx, all); err != nil {
		return err
	}
	r.Say("all are current after %.1f s; waiting until all is recorded", time.Since(began).Seconds())
	if err := r.cluster.quiet(ctx); err != nil {
		return err
	}
	peak, err := r.manager.memory("VmHWM")
	if err != nil {
		return err
	}
	if err := pause(ctx, r.Rest); err != nil {
		return err
	}
	after, err := r.manager.memory("VmRSS")
	if err != nil {
		return err
	}
	r.note("fanout.memory.idle", "MB", before/1e6)
	r.note("fanout.memory.peak", "MB", peak/1e6)
	r.note("fanout.memory.all", "MB", after/1e6)
	r.note("fanout.memory.agent", "KB", (after-before)/1024/float64(r.Agents))
	return nil
}

// changeAll changes what concerns each machine: the mesh's configuration.
func (r *run) changeAll(ctx context.Context) error {
	return r.change(ctx, "fanout.all", r.Rounds, all, r.cluster.changeMesh)
}

// changeOne changes what concerns one machine alone: the group that it is the only one of.
func (r *run) changeOne(ctx context.Context) error {
	return r.change(ctx, "fanout.one", 5*r.Rounds, one, r.cluster.changeGroup)
}

func (r *run) change(ctx context.Context, name string, rounds int, which selection, write func(context.Context, int) error) error {
	var delays []time.Duration
	var bytes, recorded []float64
	for round := range rounds {
		r.fleet.expect(which)
		sent := r.fleet.received.Load()
		began := time.Now()
		if err := write(ctx, round); err != nil {
			return err
		}
		if err := r.fleet.wait(ctx, which); err != nil {
			return err
		}
		took := r.fleet.delays(which, began)
		bytes = append(bytes, float64(r.fleet.received.Load()-sent))
		delays = append(delays, took...)
		r.Say("%s: round %d: p50 %.3f s, p99 %.3f s", name, round+1, quantile(took, 0.5), quantile(took, 0.99))
		if err := r.cluster.quiet(ctx); err != nil {
			return err
		}
		recorded = append(recorded, r.cluster.lastWrite.Sub(began).Seconds())
	}
	r.note(name+".p50", "s", quantile(delays, 0.5))
	r.note(name+".p99", "s", quantile(delays, 0.99))
	r.note(name+".worst", "s", quantile(delays, 1))
	r.note(name+".sent", "KB", slices.Max(bytes)/1000)
	r.note(name+".recorded", "s", slices.Max(recorded))
	return nil
}

// idle counts what is written while nothing changes.
func (r *run) idle(ctx context.Context) error {
	r.Say("leaving all alone for %s", r.Idle)
	before, err := r.cluster.writes(ctx)
	if err != nil {
		return err
	}
	busy, err := r.manager.processorTime()
	if err != nil {
		return err
	}
	received := r.fleet.received.Load()
	if err := pause(ctx, r.Idle); err != nil {
		return err
	}
	after, err := r.cluster.writes(ctx)
	if err != nil {
		return err
	}
	later, err := r.manager.processorTime()
	if err != nil {
		return err
	}
	others := 0.0
	for kind, count := range after {
		if count != before[kind] {
			r.Say("written while idle: %g of %s", count-before[kind], kind)
			if kind != leases {
				others += count - before[kind]
			}
		}
	}
	r.note("fanout.idle.writes", "", others)
	r.note("fanout.idle.leases", "", after[leases]-before[leases])
	r.note("fanout.idle.cpu", "%", 100*(later-busy).Seconds()/r.Idle.Seconds())
	r.note("fanout.idle.sent", "KB/s", float64(r.fleet.received.Load()-received)/1000/r.Idle.Seconds())
	return nil
}

// storm kills the manager, changes something, and starts it again: each agent comes back and has something to get.
func (r *run) storm(ctx context.Context) error {
	r.manager.kill()
	r.fleet.expect(all)
	if err := r.cluster.changeMesh(ctx, r.Rounds); err != nil {
		return err
	}
	began := time.Now()
	next, err := startManager(ctx, r.Manager, r.cluster)
	if err != nil {
		return err
	}
	r.manager = next
	serving := time.Since(began)
	if err := r.fleet.wait(ctx, all); err != nil {
		return err
	}
	delays := r.fleet.delays(all, began)
	if err := r.cluster.quiet(ctx); err != nil {
		return err
	}
	peak, err := r.manager.memory("VmHWM")
	if err != nil {
		return err
	}
	r.note("fanout.storm.ready", "s", serving.Seconds())
	r.note("fanout.storm.p50", "s", quantile(delays, 0.5))
	r.note("fanout.storm.all", "s", quantile(delays, 1))
	r.note("fanout.storm.recorded", "s", r.cluster.lastWrite.Sub(began).Seconds())
	r.note("fanout.storm.peak", "MB", peak/1e6)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// quantile of durations, in seconds, NaN of none: the smallest that q of them do not exceed.
func quantile(durations []time.Duration, q float64) float64 {
	if len(durations) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(durations))
	at := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(0, at)].Seconds()
}

func fail(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
