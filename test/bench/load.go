package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// rate is that of each flow of requests, in requests a second: what a machine with two processors can serve that runs the cluster as well. With five times as many a
// third of them is not even begun with while nothing happens.
const rate = 50

// flow is one steady flow of requests to a target, made in a place by the demonstration's application.
type flow struct {
	name string
	// command runs the application where the flow begins.
	command []string
	target  string
	// fresh: each request has a connection of its own.
	fresh bool
}

// counted are the counters of a flow.
type counted struct {
	Requests, Failures int64
	LastError          string
	P50, P99           float64
}

// flows are the two directions, each with connections that are kept and with one for each request.
func (s *stage) flows(machine string) []flow {
	fromPod := []string{"kubectl", "exec", "-i", "-n", namespace, "deployment/" + prefix + "-caller", "-c", "caller", "--", "/hawser-demo-app"}
	fromMachine := []string{"hawser-lab", "vm", "exec", machine, "--", "/usr/local/bin/hawser-demo-app"}
	var all []flow
	for _, fresh := range []bool{false, true} {
		kind := map[bool]string{false: "kept", true: "fresh"}[fresh]
		all = append(all,
			flow{"pod→machine " + kind, fromPod, "http://" + prefix + ":9080/", fresh},
			flow{"machine→pod " + kind, fromMachine, "http://" + prefix + "-caller:9080/", fresh})
	}
	return all
}

// under runs work while all flows go on, and returns what they counted, by flow.
func (s *stage) under(ctx context.Context, flows []flow, work func() error) (map[string]counted, error) {
	var running []*generator
	end := func() (map[string]counted, error) {
		all, errs := map[string]counted{}, []error(nil)
		for _, g := range running {
			c, err := g.end()
			all[g.flow.name] = c
			errs = append(errs, err)
		}
		return all, errors.Join(errs...)
	}
	for _, f := range flows {
		g, err := s.generate(ctx, f)
		if err != nil {
			_, ended := end()
			return nil, errors.Join(err, ended)
		}
		running = append(running, g)
	}
	err := pause(ctx, time.Second)
	if err == nil {
		err = work()
	}
	counts, ended := end()
	return counts, errors.Join(err, ended)
}

// generator is a flow that goes on.
type generator struct {
	flow    flow
	command *exec.Cmd
	in      io.Closer
	out     bytes.Buffer
}

func (s *stage) generate(ctx context.Context, f flow) (*generator, error) {
	argv := append(f.command, "load", "--target="+f.target, fmt.Sprintf("--rate=%d", rate), "--listen=localhost:0", "--while-input", fmt.Sprintf("--new-connections=%t", f.fresh))
	g := &generator{flow: f, command: s.command(ctx, argv[0], argv[1:]...)}
	in, err := g.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	g.in = in
	g.command.Stdout, g.command.Stderr = &g.out, s.progress
	return g, g.command.Start()
}

// end lets what is under way be answered.
func (g *generator) end() (counted, error) {
	var c counted
	if err := errors.Join(g.in.Close(), g.command.Wait()); err != nil {
		return c, fmt.Errorf("requests %s: %w", g.flow.name, err)
	}
	if err := json.Unmarshal(g.out.Bytes(), &c); err != nil {
		return c, fmt.Errorf("requests %s: %w: %s", g.flow.name, err, g.out.String())
	}
	if c.Requests == 0 {
		return c, fmt.Errorf("requests %s: none was sent", g.flow.name)
	}
	return c, nil
}

func pause(ctx context.Context, how time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(how):
		return nil
	}
}
