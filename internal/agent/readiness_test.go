package agent

import (
	"net/http"
	"net/http/httptest"
	"testing"
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
