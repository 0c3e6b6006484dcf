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

// readinessPeriod bounds how long callers keep sending to a proxy that is gone.
const readinessPeriod = time.Second

// watchProxy asks the running proxy's slot once a second whether it is ready, and puts the answer on the board.
func watchProxy(ctx context.Context, board *report.Board, readiness func(slot string) string, looked func()) error {
	var kept roundtrip.Kept
	// It is of no use any more, and neither is why it cannot be closed.
	defer func() { _ = kept.Close() }()
	for {
		next := probe.Next(time.Now(), readinessPeriod)
		if slot := board.Facts().Proxy.Slot; slot != "" {
			err := askReady(ctx, &kept, readiness(slot))
			if ctx.Err() != nil {
				return nil
			}
			proxyIs(board, slot, err)
			looked()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
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
	ctx, cancel := context.WithTimeout(ctx, readinessPeriod)
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
