package proxy

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/roundtrip"
)

// Admin is Envoy's administration interface (envoyproxy.io, operations/admin) of a proxy on this host.
type Admin struct {
	send    func(request *http.Request, limit int64) (*roundtrip.Answer, error)
	timeout time.Duration
}

// NewAdmin returns an Admin that keeps no connection.
func NewAdmin() *Admin { return &Admin{send: roundtrip.Do, timeout: 5 * time.Second} }

// Drain has a proxy tell its callers to go elsewhere, with each answer, and close its listeners when the time of its drainDuration is over. Telling it twice does
// no harm.
func (a *Admin) Drain(ctx context.Context, port int) error {
	_, err := a.ask(ctx, http.MethodPost, port, "/drain_listeners?graceful")
	return err
}

// totalConnections are those of all listeners, as of Envoy's last flush of its statistics, which it does every 5 s.
const totalConnections = "server.total_connections"

// Connections counts those that a proxy has with callers, its host's programs among them.
func (a *Admin) Connections(ctx context.Context, port int) (int, error) {
	answer, err := a.ask(ctx, http.MethodGet, port, "/stats?filter=^"+totalConnections+"$")
	if err != nil {
		return 0, err
	}
	value, found := strings.CutPrefix(strings.TrimSpace(answer), totalConnections+": ")
	if !found {
		return 0, fmt.Errorf("the proxy does not tell its connections: %.100q", answer)
	}
	return strconv.Atoi(value)
}

func (a *Admin) ask(ctx context.Context, method string, port int, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
	if err != nil {
		return "", err
	}
	answer, err := a.send(request, 300)
	if err != nil {
		return "", fmt.Errorf("ask the proxy on port %d: %w", port, err)
	}
	if answer.Code != http.StatusOK {
		return "", fmt.Errorf("ask the proxy on port %d: %s %s", port, answer.Status, strings.TrimSpace(string(answer.Body)))
	}
	return string(answer.Body), nil
}
