package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
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
					g.count(g.send(context.WithoutCancel(ctx)))
				})
			default:
				g.count(fmt.Errorf("%d requests are under way already", maxUnderWay))
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

func (g *generator) count(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stats.Requests++
	if err != nil {
		g.stats.Failures++
		g.stats.LastError, g.stats.LastErrorAt = err.Error(), time.Now().UTC()
	}
}

func (g *generator) snapshot() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stats
}

func (g *generator) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, g.snapshot()) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return mux
}
