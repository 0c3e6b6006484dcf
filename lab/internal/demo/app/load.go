package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// maxUnderWay bounds the requests that a load generator waits for; one more counts as failed.
	maxUnderWay = 100
	// requestTimeout is what a user would wait.
	requestTimeout = 5 * time.Second
	reportInterval = 10 * time.Second
)

// Stats are the counters of a load generator since its start.
type Stats struct {
	Requests int64 `json:"requests"`
	Failures int64 `json:"failures"`
	// LastError is the newest failure's reason, and LastErrorAt when it was.
	// P50 and P99 of how long requests took that were answered, in milliseconds, of a generator that ends with its input.
	P50         float64   `json:"p50,omitempty"`
	P99         float64   `json:"p99,omitempty"`
	LastError   string    `json:"lastError,omitempty"`
	LastErrorAt time.Time `json:"lastErrorAt,omitzero"`
	Since       time.Time `json:"since"`
}

// generator sends requests to a target at a steady rate, whether earlier ones were answered or not.
type generator struct {
	target   string
	interval time.Duration
	client   *http.Client

	mu    sync.Mutex
	stats Stats
	// latencies in milliseconds; nil if they are not kept.
	latencies []float64
}

// run sends until the context ends, and waits for what is under way.
func (g *generator) run(ctx context.Context, log *slog.Logger) error {
	var underWay sync.WaitGroup
	defer underWay.Wait()
	places := make(chan struct{}, maxUnderWay)
	tick := time.NewTicker(g.interval)
	defer tick.Stop()
	report := time.NewTicker(reportInterval)
	defer report.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-report.C:
			s := g.snapshot()
			log.Info("load", "target", g.target, "requests", s.Requests, "failures", s.Failures, "last_error", s.LastError)
		case <-tick.C:
			select {
			case places <- struct{}{}:
				underWay.Go(func() {
					defer func() { <-places }()
					// A request that is under way when the generator ends is let to end, lest it count as failed.
					began := time.Now()
					g.count(g.send(context.WithoutCancel(ctx)), time.Since(began))
				})
			default:
				g.count(fmt.Errorf("%d requests are under way already", maxUnderWay), 0)
			}
		}
	}
}

func (g *generator) send(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, status, err := get(ctx, g.client, g.target)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %.300s", status, body)
	}
	return err
}

func (g *generator) count(err error, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stats.Requests++
	if err != nil {
		g.stats.Failures++
		g.stats.LastError, g.stats.LastErrorAt = err.Error(), time.Now().UTC()
	} else if g.latencies != nil {
		g.latencies = append(g.latencies, float64(took.Microseconds())/1000)
	}
}

func (g *generator) snapshot() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	stats := g.stats
	if n := len(g.latencies); n > 0 {
		slices.Sort(g.latencies)
		stats.P50, stats.P99 = g.latencies[n/2], g.latencies[n*99/100]
	}
	return stats
}

func (g *generator) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, g.snapshot()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return mux
}
