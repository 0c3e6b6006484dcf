package manager

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	runtimemanager "sigs.k8s.io/controller-runtime/pkg/manager"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/hawser-io/hawser/internal/manager/publish"
)

// metrics of one manager. They are not in a global registry, so that a process can hold two managers.
type metrics struct {
	registry    *prometheus.Registry
	enrollments *prometheus.CounterVec
	states      prometheus.Counter
	tokens      prometheus.Counter
	bytes       prometheus.Counter
}

const prefix = "hawser_manager_"

func newMetrics(hub *publish.Hub) (*metrics, error) {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		enrollments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "enrollments_total",
			Help: "Calls for a certificate by method (enroll, renew) and result: ok, or the reason of the refusal.",
		}, []string{"method", "result"}),
		states: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "generations_sent_total", Help: "Desired states sent to machines."}),
		tokens: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "tokens_sent_total", Help: "Istio tokens minted for machines."}),
		bytes:  prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "bundle_bytes_total", Help: "Bytes of proxies' files sent to machines, compressed."}),
	}
	connected := prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: prefix + "connected_machines", Help: "Machines that hold a stream to this replica."},
		func() float64 { return float64(hub.Connected()) },
	)
	var errs []error
	for _, c := range []prometheus.Collector{m.enrollments, m.states, m.tokens, m.bytes, connected} {
		errs = append(errs, m.registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) enrolled(method, result string) {
	m.enrollments.WithLabelValues(method, result).Inc()
}

func (m *metrics) meter() publish.Meter {
	return publish.Meter{State: m.states.Inc, Token: m.tokens.Inc, Bytes: func(n int) { m.bytes.Add(float64(n)) }}
}

// server serves these metrics and those of the libraries.
func (m *metrics) server(address string) *runtimemanager.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.Gatherers{m.registry, runtimemetrics.Registry}, promhttp.HandlerOpts{}))
	patience := time.Second
	return &runtimemanager.Server{
		Name:            "metrics",
		Server:          &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second},
		ShutdownTimeout: &patience,
	}
}
