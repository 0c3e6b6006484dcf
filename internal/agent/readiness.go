package agent

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/probe"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/roundtrip"
)

const (
	// unreadyPeriod is how often a proxy that is not ready is asked whether it is.
	unreadyPeriod = time.Second
	// answerTime is how long it may take to answer, as a sidecar may (istio.io/istio, manifests/charts/istio-control/istio-discovery/files:
	// injection-template.yaml, readinessProbe): a busy host is no reason to take it out of rotation.
	answerTime = 3 * time.Second
	// readyPeriod bounds how long callers keep sending to a proxy that answers that it is not ready any more. One that died is noticed
	// at once by the end of the connection.
	readyPeriod = 2 * time.Second
)

// proxyWatch asks the running proxy's slot once in a while whether it is ready, and puts the answer on the board.
type proxyWatch struct {
	board *report.Board
	// host is closed when the board knows what runs on the host.
	host <-chan struct{}
	// readiness is where to ask.
	readiness func(slot string) string
	// looked is called after each look, lost when the answer becomes no, as the proxy may have been stopped, which no event tells, and back when
	// it becomes yes.
	looked, lost, back func()

	kept  roundtrip.Kept
	ready bool
}

func (w *proxyWatch) run(ctx context.Context) error {
	// It is of no use any more, and neither is why it cannot be closed.
	defer func() { _ = w.kept.Close() }()
	select {
	case <-w.host:
	case <-ctx.Done():
	}
	for ctx.Err() == nil {
		began, period := time.Now(), unreadyPeriod
		w.look(ctx)
		if w.ready {
			period = readyPeriod
		}
		if w.kept.Wait(ctx, probe.Next(began, period)) != nil {
			// It is gone, or gave up an idle connection; one that does so each time is not asked more than twice in a period.
			w.look(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(time.Until(probe.Next(time.Now(), unreadyPeriod))):
			}
		}
	}
	return nil
}

// look asks once.
func (w *proxyWatch) look(ctx context.Context) {
	was, told := w.ready, w.board.Facts().Proxy
	w.ready = false
	if slot := told.Slot; slot != "" {
		err := askReady(ctx, &w.kept, w.readiness(slot))
		if ctx.Err() != nil {
			return
		}
		proxyIs(w.board, slot, err)
		w.ready = err == nil
	}
	w.looked()
	switch {
	case (was || told.Ready) && !w.ready:
		// Whoever waited for it may have called it ready before this looked for the first time.
		w.lost()
	case !was && w.ready:
		w.back()
	}
}

func proxyIs(board *report.Board, slot string, err error) {
	message := ""
	if err != nil {
		message = err.Error()
	}
	if now := board.Facts().Proxy; now.Ready == (err == nil) && now.Message == message {
		return
	}
	board.Update(func(f *report.Facts) {
		if f.Proxy.Slot == slot {
			f.Proxy.Ready, f.Proxy.Message = err == nil, message
		}
	})
}

// askReady returns nil if url answers 200 in time, else the proxy's own words.
func askReady(ctx context.Context, kept *roundtrip.Kept, url string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := kept.Do(request, 256)
	if err != nil {
		return fmt.Errorf("it does not answer on %s", request.URL.Host)
	}
	if answer.Code != http.StatusOK {
		return fmt.Errorf("%s: %s", answer.Status, strings.Join(strings.Fields(string(answer.Body)), " "))
	}
	return nil
}
