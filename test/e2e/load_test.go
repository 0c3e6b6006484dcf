//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// loadUnit is the unit of a machine's load generator, loadAddress where it counts, loadTarget what it calls.
const (
	loadUnit    = "demo-load"
	loadAddress = "127.0.0.1:9079"
	loadTarget  = "http://catalog:9080/"
)

// load counts what load generators saw fail between `load start` and `load end MAX`: the demo's in the cluster, whose requests end at
// machines, and one on each machine named, whose requests end at pods.
func load(ts *testscript.TestScript, neg bool, args []string) {
	switch {
	case !neg && len(args) >= 1 && args[0] == "start":
		for _, machine := range args[1:] {
			startLoad(ts, machine)
		}
		ts.Setenv("LOAD_MACHINES", strings.Join(args[1:], " "))
		ts.Setenv("LOAD_START", strconv.FormatInt(inCluster(ts).Failures, 10))
	case !neg && len(args) == 2 && args[0] == "end":
		before, err := strconv.ParseInt(ts.Getenv("LOAD_START"), 10, 64)
		ts.Check(err)
		limit, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		here := inCluster(ts)
		failed, reasons := here.Failures-before, []string{"cluster: " + here.LastError}
		if failed < 0 {
			ts.Fatalf("the load generator in the cluster was restarted")
		}
		for _, machine := range strings.Fields(ts.Getenv("LOAD_MACHINES")) {
			there := onMachine(ts, machine)
			ts.Logf("%s: %d of %d requests failed", machine, there.Failures, there.Requests)
			if there.Requests == 0 {
				ts.Fatalf("the load generator on %s sent nothing", machine)
			}
			failed += there.Failures
			reasons = append(reasons, machine+": "+there.LastError)
			stopLoad(ts, machine)
		}
		if failed > limit {
			ts.Fatalf("%d requests failed, at most %d may; the last of each: %s", failed, limit, strings.Join(reasons, "; "))
		}
	default:
		ts.Fatalf("usage: load start [MACHINE…] | load end MAX")
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
