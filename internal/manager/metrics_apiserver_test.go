//go:build apiserver

package manager_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager"
	"github.com/hawser-io/hawser/internal/manager/managertest"
)

// freeAddress is one that nothing listens on.
func freeAddress(t *testing.T) string {
	listener := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// A manager with a real API server tells Prometheus of the machine that it serves, and of what it did for it.
func TestMetricsOfARunningManager(t *testing.T) {
	c := newCluster(t)
	machines, metrics := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0")), freeAddress(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- manager.Run(ctx, manager.Options{
			Config: managertest.AsManager(c.config), Namespace: "hawser-system", Pod: "manager-0", Service: "hawser-manager", CacheDir: c.TempDir(),
			Listener: machines, HealthAddress: "0", MetricsAddress: metrics, Logger: slog.New(slog.DiscardHandler),
		})
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	page := func() string {
		response, err := http.Get("http://" + metrics + "/metrics")
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		return string(body)
	}
	line := func(want string) {
		t.Helper()
		c.eventually(want, func() bool { return strings.Contains(page(), "\n"+want) })
	}

	pin, _ := c.info()
	vm, served := c.host("ratings-vm-1", pin), &replica{address: machines.Addr().String()}
	if err := vm.join(ctx, served, c.token(pin)); err != nil {
		t.Fatal(err)
	}
	stream := vm.sync(ctx, served, "")
	state, _ := firstState(t, stream)
	report := &hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: vm.report(state.GetGeneration())}}
	if err := stream.Send(report); err != nil {
		t.Fatal(err)
	}
	const machine = `{namespace="shop",machine="ratings-vm-1",`
	line(`hawser_machine_info` + machine + `group="ratings",revision="default",`)
	line(`hawser_machine_status_condition` + machine + `condition="Ready",status="true"} 1`)
	line(`hawser_machine_status_condition` + machine + `condition="Ready",status="false"} 0`)
	line("hawser_manager_streams 1\n")
	line("hawser_manager_streams_started_total 1\n")
	line(`hawser_manager_enrollments_total{method="enroll",result="ok"} 1`)
	line(`hawser_manager_record_writes_total{resource="workloadentries",result="ok",verb="create"} 1`)
	published := func() string { return strings.Join(grep(page(), "hawser_manager_publish_duration_seconds_count"), "") }
	before := published()

	group := &istionetworking.WorkloadGroup{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings"}}
	c.get(group)
	group.Spec.Template.Ports["grpc"] = 9090
	if err := c.client.Update(ctx, group); err != nil {
		t.Fatal(err)
	}
	nextState(t, stream)
	c.eventually("the time until the new state was sent is told", func() bool { return published() != before })
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	line(`hawser_manager_streams_ended_total{reason="Closed"} 1`)
	line("hawser_manager_streams 0\n")
	t.Log("\n" + strings.Join(grep(page(), "hawser_"), "\n"))
}

func grep(page, prefix string) []string {
	var lines []string
	for line := range strings.SplitSeq(page, "\n") {
		if strings.HasPrefix(line, prefix) {
			lines = append(lines, line)
		}
	}
	return lines
}
