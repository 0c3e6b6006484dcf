package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/agent/roundtrip"
)

// fakeProxies answer by port: a status, or nothing if the port is not there.
type fakeProxies struct {
	status map[string]int
	// ready is when all answers become 200.
	ready time.Time
}

func (p *fakeProxies) send(r *http.Request, _ int64) (*roundtrip.Answer, error) {
	status, listens := p.status[r.URL.Port()]
	if !p.ready.IsZero() && !time.Now().Before(p.ready) {
		status, listens = http.StatusOK, true
	}
	if !listens || r.URL.Path != "/healthz/ready" || r.URL.Hostname() != "127.0.0.1" {
		return nil, errors.New("connection refused")
	}
	return &roundtrip.Answer{Code: status, Status: fmt.Sprint(status), Body: []byte("config received from XDS server: cds")}, nil
}

func health(p *fakeProxies) *Health {
	h := NewHealth()
	h.send = p.send
	return h
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		status map[string]int
		want   string
	}{
		{"ready", map[string]int{"15020": 200, "15021": 200}, ""},
		{"pilot-agent is not ready", map[string]int{"15020": 503, "15021": 200}, "not ready: 503 config received"},
		{"Envoy is not ready", map[string]int{"15020": 200, "15021": 503}, "not ready: 503"},
		{"pilot-agent is not there", map[string]int{"15021": 200}, "connection refused"},
		{"Envoy is not there", map[string]int{"15020": 200}, "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := health(&fakeProxies{status: c.status}).Check(t.Context(), 15020)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("check: %v, want %q", err, c.want)
			}
		})
	}
}

func TestAwait(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		gives time.Duration
		want  string
	}{
		{"at once", 0, time.Hour, ""},
		{"in time", 29 * time.Second, time.Hour, ""},
		{"too late", 31 * time.Second, time.Hour, "not ready: 503 config received"},
		{"the caller gives up", 10 * time.Second, time.Second, "not ready: 503 config received"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.gives)
				defer cancel()
				started := time.Now()
				p := &fakeProxies{status: map[string]int{"15020": 503, "15021": 503}, ready: started.Add(c.after)}
				err := health(p).Await(ctx, 15020, 30*time.Second)
				if c.want == "" {
					if err != nil || time.Since(started) > c.after+100*time.Millisecond {
						t.Errorf("await: %v after %s", err, time.Since(started))
					}
					return
				}
				if !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), c.want) || time.Since(started) != min(c.gives, 30*time.Second) {
					t.Errorf("await: %v after %s, want %q", err, time.Since(started), c.want)
				}
			})
		})
	}
}
