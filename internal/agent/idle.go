package agent

import (
	"context"
	"time"
)

const (
	// quiet is how long nothing may have changed for the agent to count as idle.
	quiet = 10 * time.Second
	// trimPeriod bounds how long what single events took stays.
	trimPeriod = 5 * time.Minute
)

// trimWhenQuiet calls trim once nothing has changed for a while, and every now and then from there on. The collector frees what is
// garbage, but keeps it for a heap that grows again: after a join, which unpacks a hundred megabytes, the heap of an agent does not.
// It matters that the agent is small on hosts that are not its own.
func trimWhenQuiet(ctx context.Context, changed <-chan struct{}, trim func()) error {
	pause := quiet
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
			pause = quiet
		case <-timer.C:
			trim()
			pause = trimPeriod
		}
		timer.Reset(pause)
	}
}
