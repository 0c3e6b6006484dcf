//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// loadUnit is the unit of a machine's load generator, loadAddress where it counts, loadTarget what it calls.
const (
	loadUnit    = "demo-load"
	loadAddress = "127.0.0.1:9079"
	loadTarget  = "http://catalog.shop:9080/"
)

// underLoad is what `load start` has begun and `load end` has not ended: the generator in the cluster, nil if there is none, and the machines
// with one. A scenario has one of them.
type underLoad struct {
	cluster  func() counted
	machines []string
}

// loadKey is where a scenario keeps it.
type loadKey struct{}

// load counts what load generators saw fail between `load start` and `load end MAX`: one on each machine named, whose requests end at pods, and the
// demo's in the cluster, whose requests end at its machines. With to=URL it is one of the scenario's own in its place, whose requests end there; with
// to= there is none.
func load(ts *testscript.TestScript, neg bool, args []string) {
	now := ts.Value(loadKey{}).(*underLoad)
	switch {
	case !neg && len(args) >= 1 && args[0] == "start":
		*now = underLoad{machines: args[1:]}
		if len(args) > 1 && strings.HasPrefix(args[1], "to=") {
			now.machines = args[2:]
			now.cluster = ownGenerator(ts, strings.TrimPrefix(args[1], "to="))
		} else {
			now.cluster = demosGenerator(ts)
		}
		for _, machine := range now.machines {
			startLoad(ts, machine)
		}
	case !neg && len(args) == 2 && args[0] == "end":
		limit, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		now.end(ts, limit)
	default:
		ts.Fatalf("usage: load start [to=[URL]] [MACHINE…] | load end MAX")
	}
}

func (l *underLoad) end(ts *testscript.TestScript, limit int64) {
	failed := int64(0)
	var reasons []string
	count := func(where string, c counted) {
		ts.Logf("%s: %d of %d requests failed", where, c.Failures, c.Requests)
		if c.Requests == 0 {
			ts.Fatalf("the load generator on %s sent nothing", where)
		}
		failed += c.Failures
		if c.Failures > 0 {
			reasons = append(reasons, where+": "+c.LastError)
		}
	}
	if l.cluster != nil {
		count("cluster", l.cluster())
	}
	for _, machine := range l.machines {
		count(machine, onMachine(ts, machine))
		stopLoad(ts, machine)
	}
	if failed > limit {
		ts.Fatalf("%d requests failed, at most %d may; the last of each: %s", failed, limit, strings.Join(reasons, "; "))
	}
}

// demosGenerator runs always: what counts is what it counts from now on.
func demosGenerator(ts *testscript.TestScript) func() counted {
	before := inCluster(ts)
	return func() counted {
		now := inCluster(ts)
		now.Requests -= before.Requests
		now.Failures -= before.Failures
		if now.Failures < 0 {
			ts.Fatalf("the load generator in the cluster was restarted")
		}
		return now
	}
}

// ownGenerator starts one in the pod of the demo's. It ends with its input.
func ownGenerator(ts *testscript.TestScript, target string) func() counted {
	if target == "" {
		return nil
	}
	command := program(context.Background(), ts, "kubectl", []string{"exec", "-i", "-n", "shop", "deploy/loadgen", "-c", "loadgen", "--",
		"/hawser-demo-app", "load", "--target=" + target, "--rate=20", "--listen=localhost:0", "--while-input"})
	in, err := command.StdinPipe()
	ts.Check(err)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, os.Stderr
	ts.Check(command.Start())
	end := sync.OnceValue(func() error { return errors.Join(in.Close(), command.Wait()) })
	ts.Defer(func() { _ = end() })
	return func() counted {
		ts.Check(end())
		var stats counted
		ts.Check(json.Unmarshal(out.Bytes(), &stats))
		return stats
	}
}

func startLoad(ts *testscript.TestScript, machine string) {
	ts.Defer(func() { stopLoad(ts, machine) })
	ts.Check(ts.Exec("hawser-lab", "vm", "exec", machine, "--", "systemd-run", "--quiet", "--collect", "--unit="+loadUnit, "--property=DynamicUser=yes",
		demoApp, "load", "--target="+loadTarget, "--rate=20", "--listen="+loadAddress))
}

// stopLoad may be called twice, and for a machine that is gone.
func stopLoad(ts *testscript.TestScript, machine string) {
	if _, err := quietly(ts, "hawser-lab", []string{"vm", "exec", machine, "--", "systemctl", "stop", loadUnit}); err != nil {
		ts.Logf("stop the load on %s: %v", machine, err)
	}
}

// counted are the counters of a load generator (lab/internal/demo/app).
type counted struct {
	Requests  int64  `json:"requests"`
	Failures  int64  `json:"failures"`
	LastError string `json:"lastError"`
}

func inCluster(ts *testscript.TestScript) counted {
	name, argv := commands()["from"](ts, []string{"shop/loadgen", "http://localhost:9080/stats"})
	return counters(ts, name, argv)
}

func onMachine(ts *testscript.TestScript, machine string) counted {
	return counters(ts, "hawser-lab", []string{"vm", "exec", machine, "--", "curl", "-sS", fmt.Sprintf("http://%s/stats", loadAddress)})
}

func counters(ts *testscript.TestScript, name string, argv []string) counted {
	ts.Check(ts.Exec(name, argv...))
	var stats counted
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &stats))
	return stats
}
