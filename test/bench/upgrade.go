package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// otherRevision is installed for its proxy alone, which the benchmark's machine runs by turns with that of the default revision.
const (
	otherRevision = "bench"
	otherVersion  = "1.31.0"
)

// benchUpgrade has a machine's proxy taken over from by one of another version, again and again, while requests go in both directions, and counts those
// that fail. Beside it is a restart of the proxy's unit, under the same requests.
func benchUpgrade(ctx context.Context, s *stage, runs int) (all []Figure, err error) {
	images, cleared, err := s.proxies(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if failed := cleared(context.WithoutCancel(ctx)); err == nil {
			err = failed
		}
	}()
	ours, err := hawserWay(ctx, s)
	if err != nil {
		return nil, err
	}
	machine, err := s.member(ctx, ours)
	if err != nil {
		return nil, err
	}
	flows := s.flows(machine)
	quiet, err := s.under(ctx, flows, func() error { return pause(ctx, 10*time.Second) })
	if err != nil {
		return nil, err
	}
	s.tell("nothing happens", quiet)
	swaps, err := s.repeated(ctx, "take-over", runs, flows, func(run int) (time.Duration, error) { return s.swap(ctx, machine, images[run%2]) })
	if err != nil {
		return nil, err
	}
	restarts, err := s.repeated(ctx, "restart", runs, flows, func(int) (time.Duration, error) { return s.restart(ctx, machine) })
	if err != nil {
		return nil, err
	}
	all = append(all,
		figure("upgrade.failed", "requests", swaps.failed, restarts.failed),
		figure("upgrade.requests", "requests", swaps.requests, restarts.requests))
	all = append(all, figures("upgrade.duration", "s", swaps.took, restarts.took)...)
	return append(all,
		figure("upgrade.p99", "ms", slowest(swaps.counts), slowest(restarts.counts)),
		figure("upgrade.p99.quiet", "ms", slowest(quiet), math.NaN())), nil
}

// proxies makes a second version of the proxy's image available, and returns the references to take by turns: the other one first. cleared undoes it.
func (s *stage) proxies(ctx context.Context) (images [2]string, cleared func(context.Context) error, err error) {
	cleared = func(ctx context.Context) error { return s.run(ctx, "hawser-lab", "istio", "remove", otherRevision) }
	if err := s.run(ctx, "hawser-lab", "istio", "install", otherRevision, "--version", otherVersion); err != nil {
		return images, cleared, err
	}
	for i, name := range []string{"istio-sidecar-injector-" + otherRevision, "istio-sidecar-injector"} {
		values, err := s.output(ctx, nil, "kubectl", "get", "configmap", "-n", "istio-system", name, "-o", "jsonpath={.data.values}")
		if err != nil {
			return images, cleared, err
		}
		var parsed struct {
			Global struct{ Hub, Tag string }
		}
		if err := json.Unmarshal([]byte(values), &parsed); err != nil {
			return images, cleared, fmt.Errorf("ConfigMap %s: %w", name, err)
		}
		images[i] = parsed.Global.Hub + "/proxyv2:" + parsed.Global.Tag
	}
	policy := fmt.Sprintf(`{"apiVersion":"hawser.io/v1alpha1","kind":"MachinePolicy","metadata":{"name":%q,"namespace":%q},"spec":{"groups":[%q],"proxyUpgrade":{"drainDeadline":"5s"}}}`,
		prefix, namespace, hawserGroup)
	_, err = s.output(ctx, strings.NewReader(policy), "kubectl", "apply", "-f", "-")
	return images, cleared, err
}

// swap asks for another image, and waits until its proxy serves and the former one has ended. The time is until it serves.
func (s *stage) swap(ctx context.Context, machine, image string) (time.Duration, error) {
	patch := fmt.Sprintf(`{"spec":{"metadata":{"annotations":{"sidecar.istio.io/proxyImage":%q}}}}`, image)
	_, version, _ := strings.Cut(image[strings.LastIndexByte(image, '/'):], ":")
	before, err := s.proxySlot(ctx, machine)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := s.run(ctx, "kubectl", "patch", "workloadgroup", "-n", namespace, hawserGroup, "--type", "merge", "-p", patch); err != nil {
		return 0, err
	}
	var took time.Duration
	err = until(ctx, settled, 100*time.Millisecond, func(ctx context.Context) error {
		out, err := s.output(ctx, nil, "kubectl", "get", "machine", "-n", namespace, machine, "-o", "jsonpath={.status.proxy.version} {.status.proxy.ready}")
		took = time.Since(began)
		if err == nil && out != version+" true" {
			err = fmt.Errorf("machine %s runs proxy %q, want %s", machine, out, version)
		}
		return err
	})
	if err != nil {
		return took, err
	}
	return took, until(ctx, settled, 500*time.Millisecond, func(ctx context.Context) error {
		if err := s.on(ctx, machine, "systemctl", "is-active", "--quiet", "hawser-proxy@"+before); err == nil {
			return fmt.Errorf("the former proxy in slot %s still runs", before)
		}
		return ctx.Err()
	})
}

// proxySlot waits until a proxy is known to serve, and returns its slot.
func (s *stage) proxySlot(ctx context.Context, machine string) (string, error) {
	var slot string
	err := until(ctx, settled, 200*time.Millisecond, func(ctx context.Context) error {
		out, err := s.output(ctx, nil, "kubectl", "get", "machine", "-n", namespace, machine, "-o", "jsonpath={.status.proxy.slot} {.status.proxy.ready}")
		found, serves := strings.CutSuffix(out, " true")
		if slot = found; err == nil && !serves {
			err = fmt.Errorf("machine %s has no proxy that serves: %q", machine, out)
		}
		return err
	})
	return slot, err
}

// restart is what there is without a second slot.
func (s *stage) restart(ctx context.Context, machine string) (time.Duration, error) {
	slot, err := s.proxySlot(ctx, machine)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := s.on(ctx, machine, "systemctl", "restart", "hawser-proxy@"+slot); err != nil {
		return 0, err
	}
	_, err = s.toPod(ctx, machine)
	took := time.Since(began)
	if err != nil {
		return took, err
	}
	return took, until(ctx, settled, 100*time.Millisecond, func(ctx context.Context) error {
		return s.on(ctx, machine, "curl", "-fsS", "-m", "1", "http://127.0.0.1:15021/healthz/ready")
	})
}

// measured is what many changes of one kind cost.
type measured struct {
	failed, requests float64
	took             []float64
	counts           map[string]counted
}

func (s *stage) repeated(ctx context.Context, name string, runs int, flows []flow, change func(run int) (time.Duration, error)) (measured, error) {
	var m measured
	counts, err := s.under(ctx, flows, func() error {
		for run := range runs {
			took, err := change(run)
			if err != nil {
				return fmt.Errorf("%s %d: %w", name, run+1, err)
			}
			s.say("%s %d/%d: %.3f s", name, run+1, runs, took.Seconds())
			m.took = append(m.took, took.Seconds())
		}
		return pause(ctx, time.Second)
	})
	if err != nil {
		return m, err
	}
	m.counts = counts
	for _, c := range counts {
		m.failed, m.requests = m.failed+float64(c.Failures), m.requests+float64(c.Requests)
	}
	s.tell(name, counts)
	return m, nil
}

// tell shows each flow.
func (s *stage) tell(what string, counts map[string]counted) {
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c := counts[name]
		s.say("%s, %s: %d of %d requests failed, p50 %.1f ms, p99 %.1f ms %s", what, name, c.Failures, c.Requests, c.P50, c.P99, c.LastError)
	}
}

// slowest is the highest p99 of all flows.
func slowest(counts map[string]counted) float64 {
	p99 := 0.0
	for _, c := range counts {
		p99 = max(p99, c.P99)
	}
	return p99
}
