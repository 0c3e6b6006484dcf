package agent

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/agent/report"
)

// A proxy that dies right after it got ready was called ready by whoever waited for it, and not by the watch yet: it is lost all the same.
func TestProxyThatDiesBeforeTheFirstLookIsLost(t *testing.T) {
	status := httptest.NewServer(http.NotFoundHandler())
	defer status.Close()
	lost := 0
	w := &proxyWatch{
		board: report.NewBoard(time.Now), readiness: func(string) string { return status.URL },
		looked: func() {}, lost: func() { lost++ }, back: func() { t.Error("it is not back") },
	}
	w.board.Update(func(f *report.Facts) { f.Proxy = report.Proxy{Slot: "a", Ready: true} })
	for range 2 {
		w.look(t.Context())
	}
	if lost != 1 {
		t.Errorf("lost %d times", lost)
	}
}

// An agent that was restarted does not speak of the proxy before it has asked it, however long it takes to look at the host.
func TestProxyIsNotSpokenOfBeforeItWasAsked(t *testing.T) {
	for name, slot := range map[string]string{"it-runs": "a", "none-runs": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				host, looked := make(chan struct{}), 0
				w := &proxyWatch{
					board: report.NewBoard(time.Now), host: host, readiness: func(string) string { return "http://127.0.0.1:0/" },
					looked: func() { looked++ }, lost: func() {}, back: func() {},
				}
				ended := make(chan error, 1)
				go func() { ended <- w.run(ctx) }()
				time.Sleep(4 * time.Second)
				if looked > 0 {
					t.Error("it is looked at before it is known what runs")
				}
				w.board.Update(func(f *report.Facts) { f.Proxy.Slot = slot })
				close(host)
				synctest.Wait()
				if looked != 1 {
					t.Errorf("looked at %d times when it is known", looked)
				}
				cancel()
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}
