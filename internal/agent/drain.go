package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/report"
)

const (
	// tellTimeout is how long the manager may take to hear that the machine drains.
	tellTimeout = 3 * time.Second
	// hearPause is how long callers get to turn elsewhere: istiod spreads it in about 0.1 s.
	hearPause = time.Second
	// quietLook is how often is looked whether callers' connections have ended.
	quietLook = 100 * time.Millisecond
)

// DrainLimit is the longest that Drain takes where this is the desired state, or where there is none.
func DrainLimit(state *hawserv1.DesiredState) time.Duration {
	return tellTimeout + hearPause + drainTime(state) + time.Second
}

// drainTime is what the state gives for what callers have asked already.
func drainTime(state *hawserv1.DesiredState) time.Duration {
	return time.Duration(state.GetUnit().GetDrainMilliseconds()) * time.Millisecond
}

// Drain takes the machine out of rotation, lets callers hear of it, and waits until they are served, for as long as the policy says. The machine
// stays out until the agent is started again; or, with proxy, until the proxy is ready again that is about to stop. One that the agent itself
// restarts is not drained: the machines of a service are restarted at the same time, and the time without any of them is to be short.
func (d *daemon) Drain(ctx context.Context, proxy bool) error {
	if proxy && d.changing() {
		return nil
	}
	d.board.Update(func(f *report.Facts) {
		// Who drained the machine for good before this one goes on to.
		d.passing.Store(proxy && (!f.Draining || d.passing.Load()))
		f.Draining = true
	})
	if !d.board.Facts().Connection.Up {
		return errors.New("there is no connection to the manager")
	}
	select {
	case <-d.stream.Drained():
	case <-time.After(tellTimeout):
		return fmt.Errorf("the manager did not hear of it within %s", tellTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, hearPause+d.mailbox.drainTime())
	defer cancel()
	select {
	case <-time.After(hearPause):
	case <-ctx.Done():
		return ctx.Err()
	}
	if served, err := d.served(limited); err != nil {
		d.options.Log.Warn("whether callers are served could not be seen", "error", err)
	} else if !served {
		d.options.Log.Warn("the time to drain is over before callers have ended their connections")
	}
	return ctx.Err()
}

// changing: a step of the agent's is under way.
func (d *daemon) changing() bool {
	steps := d.board.Facts().Configuration.Steps
	return len(steps) > 0 && steps[len(steps)-1].Finished.IsZero()
}

// back puts a machine into rotation again whose proxy was drained before it stopped, and has traffic led to it that passed meanwhile.
func (d *daemon) back() {
	d.mailbox.wake()
	if d.passing.CompareAndSwap(true, false) {
		d.board.Update(func(f *report.Facts) { f.Draining = false })
	}
}

// served waits for the end of callers' connections to the proxy; false if ctx ended before. Callers close idle ones as soon as they know that the
// machine is out of rotation.
func (d *daemon) served(ctx context.Context) (bool, error) {
	for {
		open, err := d.options.Serving()
		if err != nil || open == 0 {
			return true, err
		}
		select {
		case <-ctx.Done():
			return false, nil
		case <-time.After(quietLook):
		}
	}
}
