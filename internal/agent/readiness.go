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
	// unreadyPeriod is how often a proxy that is not ready is asked whether it is, and how long it may take to answer.
	unreadyPeriod = time.Second
	// readyPeriod bounds how long callers keep sending to a proxy that answers that it is not ready any more. One that died is noticed
	// at once by the end of the connection.
	readyPeriod = 2 * time.Second
)

// watchProxy asks the running proxy's slot once in a while whether it is ready, and puts the answer on the board.
func watchProxy(ctx context.Context, board *report.Board, readiness func(slot string) string, looked func()) error {
	var kept roundtrip.Kept
	// It is of no use any more, and neither is why it cannot be closed.
	defer func() { _ = kept.Close() }()
	for {
		began := time.Now()
		ready := lookAtProxy(ctx, &kept, board, readiness, looked)
		if !ready {
			waitUntil(ctx, probe.Next(began, unreadyPeriod))
		} else if next := probe.Next(began, readyPeriod); kept.Wait(ctx, next) != nil {
			// It is gone, or gave up an idle connection; one that does so each time is not asked more than twice in a period.
			lookAtProxy(ctx, &kept, board, readiness, looked)
			waitUntil(ctx, probe.Next(time.Now(), unreadyPeriod))
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func waitUntil(ctx context.Context, next time.Time) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Until(next)):
	}
}

// lookAtProxy asks once and returns whether the proxy is there and ready.
func lookAtProxy(ctx context.Context, kept *roundtrip.Kept, board *report.Board, readiness func(slot string) string, looked func()) bool {
	slot := board.Facts().Proxy.Slot
	if slot == "" {
		return false
	}
	err := askReady(ctx, kept, readiness(slot))
	if ctx.Err() != nil {
		return false
	}
	proxyIs(board, slot, err)
	looked()
	return err == nil
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
	ctx, cancel := context.WithTimeout(ctx, unreadyPeriod)
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
