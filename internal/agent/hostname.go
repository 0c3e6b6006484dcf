package agent

import (
	"context"

	"github.com/hawser-io/hawser/internal/agent/report"
)

// watchHostname keeps what the host is called on the board. What it was called at first is what the agent's streams tell.
func watchHostname(ctx context.Context, now func() string, watch func(ctx context.Context, changed func()) error, board *report.Board) error {
	known := now()
	look := func() {
		name := now()
		if board.Facts().Hostname != (report.Hostname{Known: known, Now: name}) {
			board.Update(func(f *report.Facts) { f.Hostname = report.Hostname{Known: known, Now: name} })
		}
	}
	look()
	return watch(ctx, look)
}
