package agent

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/report"
)

// readinessPeriod bounds how long callers keep sending to a proxy that is gone.
const readinessPeriod = time.Second

// watchProxy asks the running proxy's slot once a second whether it is ready, and puts the answer on the board.
func watchProxy(ctx context.Context, board *report.Board, readiness func(slot string) string, looked func()) error {
	// A transport of its own: the default one would follow the environment to a web proxy.
	client := &http.Client{Transport: &http.Transport{}, Timeout: readinessPeriod}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(readinessPeriod)
	defer ticker.Stop()
	for {
		if slot := board.Facts().Proxy.Slot; slot != "" {
			err := askReady(ctx, client, readiness(slot))
			if ctx.Err() != nil {
				return nil
			}
			proxyIs(board, slot, err)
			looked()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
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

// askReady returns nil if url answers 200, else the proxy's own words.
func askReady(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("it does not answer on %s", request.URL.Host)
	}
	defer response.Body.Close()
	// A body that cannot be read says nothing, and the status stands.
	body, _ := io.ReadAll(io.LimitReader(response.Body, 256))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, strings.Join(strings.Fields(string(body)), " "))
	}
	return nil
}
