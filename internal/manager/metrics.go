package manager

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	runtimemanager "sigs.k8s.io/controller-runtime/pkg/manager"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/publish"
	"github.com/hawser-io/hawser/internal/version"
)

// metrics of one manager. They are in a registry of their own, so that a process can hold two managers.
type metrics struct {
	registry    *prometheus.Registry
	enrollments *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	started     prometheus.Counter
	ended       *prometheus.CounterVec
	states      prometheus.Counter
	tokens      prometheus.Counter
	bytes       prometheus.Counter
	writes      *prometheus.CounterVec
	published   prometheus.Histogram
	// change is the time of the last one; each has an address of its own. Nil before the first.
	change atomic.Pointer[time.Time]
	// list returns the machines that this replica tells of; nil if it tells of none.
	list func(context.Context) ([]v1alpha1.Machine, error)
}

// newCounters makes metrics of which nothing is counted yet.
func newCounters() *metrics {
	m := &metrics{
		registry:    prometheus.NewRegistry(),
		enrollments: counters("hawser_manager_enrollments_total", "Calls for a certificate, by method (enroll, renew) and result (ok, refused).", "method", "result"),
		refusals:    counters("hawser_manager_refusals_total", "Calls of agents that were refused, by method and reason.", "method", "reason"),
		started:     single("hawser_manager_streams_started_total", "Streams that machines have begun; each reconnect is one."),
		ended: counters("hawser_manager_streams_ended_total",
			"Streams that are over, by reason: Closed by the agent, Lost, or the reason of a refusal.", "reason"),
		states: single("hawser_manager_desired_states_sent_total", "Desired states sent to machines."),
		tokens: single("hawser_manager_istio_tokens_minted_total", "Istio tokens minted for machines."),
		bytes:  single("hawser_manager_bundle_sent_bytes_total", "Bytes of proxies' files sent to machines, compressed."),
		writes: counters("hawser_manager_record_writes_total",
			"Writes of machines' records to the API server, by resource, verb and result (ok, conflict, error).", "resource", "verb", "result"),
		published: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hawser_manager_publish_duration_seconds",
			Help:    "From a change in what the manager knows of the cluster until a desired state that follows from it was sent to a machine.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hawser_manager_build_info", Help: "The manager's build; always 1.",
		ConstLabels: prometheus.Labels{"version": version.Get().Version, "revision": version.Get().Revision, "goversion": version.Get().Go},
	})
	build.Set(1)
	m.registry.MustRegister(m.enrollments, m.refusals, m.started, m.ended, m.states, m.tokens, m.bytes, m.writes, m.published, build)
	return m
}

func single(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// newMetrics makes the metrics of a replica whose streams the hub has.
func newMetrics(hub *publish.Hub) (*metrics, error) {
	m := newCounters()
	return m, m.registry.Register(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "hawser_manager_streams", Help: "Machines that hold a stream to this replica."},
		func() float64 { return float64(hub.Connected()) },
	))
}

// enrolled counts a call for a certificate: method "enroll" or "renew", result "ok" or the reason of the refusal.
func (m *metrics) enrolled(method, result string) {
	if result == "ok" {
		m.enrollments.WithLabelValues(method, "ok").Inc()
		return
	}
	m.enrollments.WithLabelValues(method, "refused").Inc()
	m.refusals.WithLabelValues(method, result).Inc()
}

// meter counts what is sent.
func (m *metrics) meter() publish.Meter {
	return publish.Meter{State: m.states.Inc, Token: m.tokens.Inc, Bytes: func(n int) { m.bytes.Add(float64(n)) }}
}

// server serves these metrics and those of the libraries.
func (m *metrics) server(address string) *runtimemanager.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler(runtimemetrics.Registry))
	patience := time.Second
	return &runtimemanager.Server{
		Name:            "metrics",
		Server:          &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second},
		ShutdownTimeout: &patience,
	}
}
