package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/manager/publish"
)

func listOf(machines ...v1alpha1.Machine) func(context.Context) ([]v1alpha1.Machine, error) {
	return func(context.Context) ([]v1alpha1.Machine, error) { return machines, nil }
}

func always() bool { return true }

func TestMachines(t *testing.T) {
	joining := machineNamed("vm-2")
	joining.Status = v1alpha1.MachineStatus{AgentVersion: "a\\b\"c\nd"}
	m, err := newMetrics(publish.NewHub())
	if err != nil {
		t.Fatal(err)
	}
	m.Machines(listOf(machineNamed("vm-1"), joining), always)
	page, _ := scrape(t, m)
	golden.Check(t, "metrics.txt", page)
}

// Two replicas together tell of each machine once.
func TestOnlyTheLeaderTellsOfMachines(t *testing.T) {
	var elected atomic.Bool
	leader, other := newCounters(), newCounters()
	leader.Machines(listOf(machineNamed("vm-1")), elected.Load)
	other.Machines(listOf(machineNamed("vm-1")), func() bool { return false })
	if page, _ := scrape(t, leader); strings.Contains(page, "hawser_machine_") {
		t.Errorf("told before the election:\n%s", page)
	}
	elected.Store(true)
	for m, want := range map[*metrics]int{leader: 1, other: 0} {
		page, _ := scrape(t, m)
		if got := strings.Count(page, "\nhawser_machine_info{"); got != want {
			t.Errorf("%d machines, want %d", got, want)
		}
	}
}

// A list that fails makes the scrape fail: an empty one would look as if no machine were there.
func TestListThatFails(t *testing.T) {
	m := newCounters()
	m.Machines(func(context.Context) ([]v1alpha1.Machine, error) { return nil, errors.New("the cache is not started") }, always)
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if recorder.Code != http.StatusInternalServerError || !strings.Contains(recorder.Body.String(), "list the machines: the cache is not started") {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
}

func BenchmarkScrapeOfManyMachines(b *testing.B) {
	var list []v1alpha1.Machine
	for i := range 10000 {
		machine := machineNamed(fmt.Sprintf("vm-%d", i))
		for _, kind := range []string{v1alpha1.ConditionIdentityValid, v1alpha1.ConditionIntercepting, v1alpha1.ConditionHealthy, v1alpha1.ConditionReady} {
			another := machine.Status.Conditions[0]
			another.Type = kind
			machine.Status.Conditions = append(machine.Status.Conditions, another)
		}
		list = append(list, machine)
	}
	m := newCounters()
	m.Machines(listOf(list...), always)
	b.ReportAllocs()
	for b.Loop() {
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept-Encoding", "gzip")
		m.Handler().ServeHTTP(httptest.NewRecorder(), request)
	}
}

func TestCompression(t *testing.T) {
	m := newCounters()
	m.Machines(listOf(machineNamed("vm-1")), always)
	plain, _ := scrape(t, m)
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	// Go's client asks for gzip and takes it apart, unless the caller asks by himself.
	response, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !response.Uncompressed || withoutBuild(string(body)) != plain {
		t.Errorf("compressed %v, %v, got\n%s", response.Uncompressed, err, body)
	}
}
