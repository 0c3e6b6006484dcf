package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/hawser-io/hawser/internal/agent/roundtrip"
)

// HealthPort is Envoy's listener for the health of the proxy (istio.io/istio, pilot/cmd/pilot-agent/options, ENVOY_STATUS_PORT).
const HealthPort = 15021

// Health asks a proxy on this host whether it is ready.
type Health struct {
	// send sends one question and returns so many bytes of the answer; roundtrip.Do does.
	send func(request *http.Request, limit int64) (*roundtrip.Answer, error)
	// timeout of one question.
	timeout time.Duration
	// every is the time between two questions of Await.
	every time.Duration
}

// NewHealth returns a Health that asks through no proxy and keeps no connection.
func NewHealth() *Health {
	return &Health{send: roundtrip.Do, timeout: 2 * time.Second, every: 50 * time.Millisecond}
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
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/healthz/ready", port), nil)
	if err != nil {
		return err
	}
	answer, err := h.send(request, 300)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("the proxy does not listen on port %d: %w", port, syscall.ECONNREFUSED)
	}
	if err != nil {
		return fmt.Errorf("the proxy does not answer: %w", err)
	}
	if answer.Code == http.StatusOK {
		return nil
	}
	return fmt.Errorf("the proxy is not ready: %s %s", answer.Status, strings.TrimSpace(string(answer.Body)))
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
