package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// HealthPort is Envoy's listener for the health of the proxy (istio.io/istio, pilot/cmd/pilot-agent/options, ENVOY_STATUS_PORT).
const HealthPort = 15021

// Health asks a proxy on this host whether it is ready.
type Health struct {
	client *http.Client
	// every is the time between two questions of Await.
	every time.Duration
}

// NewHealth returns a Health that asks through no proxy and keeps no connection.
func NewHealth() *Health {
	return &Health{
		client: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		every:  50 * time.Millisecond,
	}
}

// Check returns nil if the proxy is ready, else its own words. statusPort is pilot-agent's: it tells the slots apart, while
// Envoy's port is shared by them.
func (h *Health) Check(ctx context.Context, statusPort int) error {
	for _, port := range []int{statusPort, HealthPort} {
		if err := h.ask(ctx, port); err != nil {
			return err
		}
	}
	return nil
}

func (h *Health) ask(ctx context.Context, port int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/healthz/ready", port), nil)
	if err != nil {
		return err
	}
	response, err := h.client.Do(request)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("the proxy does not listen on port %d: %w", port, syscall.ECONNREFUSED)
	}
	if err != nil {
		return fmt.Errorf("the proxy does not answer: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	words, _ := io.ReadAll(io.LimitReader(response.Body, 300))
	return fmt.Errorf("the proxy is not ready: %s %s", response.Status, strings.TrimSpace(string(words)))
}

// ErrNotReady is wrapped by Await's error.
var ErrNotReady = errors.New("the proxy did not get ready")

// Await asks until the proxy is ready or the time is over; then the error holds the last answer.
func (h *Health) Await(ctx context.Context, statusPort int, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	last := error(nil)
	for {
		if err := h.Check(ctx, statusPort); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			if last == nil {
				last = ctx.Err()
			}
			return fmt.Errorf("%w within %s: %w", ErrNotReady, limit, last)
		case <-ticker.C:
		}
	}
}
