package join

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// stuck is how long a failure may last before join gives up on it: what is repeated within this time passes by itself.
const stuck = 15 * time.Second

// follow prints what the running agent does until the machine is ready. It gives up when ctx ends, when the manager turns
// the machine away for good, or when the state cannot be applied.
func (j *Joiner) follow(ctx context.Context) (local.Status, error) {
	watcher := &follower{progress: j.Progress, began: time.Now()}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stuck, func() {})
	defer timer.Stop()
	for {
		err := j.Agent.Watch(ctx, func(status local.Status) bool {
			watcher.see(status)
			timer.Stop()
			if reason := watcher.failing(); reason != "" {
				// The failure may well be the last thing that the agent has to say.
				timer = time.AfterFunc(watcher.patience(), func() { cancel(&NotReady{Status: status, Reason: reason}) })
			}
			return !status.Ready
		})
		var notReady *NotReady
		switch {
		case errors.As(context.Cause(ctx), &notReady):
			return watcher.last, notReady
		case ctx.Err() != nil:
			return watcher.last, &NotReady{Status: watcher.last, Waited: time.Since(watcher.began), Reason: missing(watcher.last)}
		case err == nil:
			return watcher.last, nil
		case !errors.Is(err, local.ErrNotRunning):
			return watcher.last, err
		}
		// The agent is starting, or was started again.
		select {
		case <-ctx.Done():
		case <-time.After(pause / 5):
		}
	}
}

// follower turns a series of statuses into progress.
type follower struct {
	progress  Progress
	began     time.Time
	last      local.Status
	connected bool
	printed   int
	failure   string
	since     time.Time
}

func (f *follower) see(status local.Status) {
	f.last = status
	if status.Facts.Connection.Up && !f.connected {
		f.connected = true
		f.progress.Done("connected to the manager at " + status.Facts.Connection.Peer)
	}
	f.steps(status.Facts.Configuration.Steps)
	if status.Ready {
		f.progress.Done("ready")
		return
	}
	if reason := failure(status); reason != f.failure {
		f.failure, f.since = reason, time.Now()
	}
}

// steps prints those that have finished since, and the one under way.
func (f *follower) steps(steps []report.Step) {
	if len(steps) < f.printed {
		// The agent began anew; what is repeated is done already.
		f.printed = 0
	}
	for ; f.printed < len(steps) && !steps[f.printed].Finished.IsZero(); f.printed++ {
		step := steps[f.printed]
		if step.Error != "" {
			f.progress.Note(step.Name + ": " + step.Error)
			continue
		}
		f.progress.Took(step.Name, step.Finished.Sub(step.Started))
	}
	if f.printed < len(steps) {
		f.progress.Begin(steps[f.printed].Name)
	}
}

func (f *follower) failing() string { return f.failure }

// patience left with the present failure.
func (f *follower) patience() time.Duration { return max(stuck-time.Since(f.since), 0) }

// failure returns why the machine cannot become ready as things are; empty while nothing speaks against it.
func failure(status local.Status) string {
	facts := status.Facts
	switch {
	case !facts.Connection.Up && facts.Connection.Reason != "":
		return facts.Connection.Error
	case facts.Configuration.Failed != "" && facts.Configuration.Failed == facts.Configuration.Desired:
		return facts.Configuration.Message
	default:
		return ""
	}
}

// missing says what a machine lacks that is not ready.
func missing(status local.Status) string {
	facts := status.Facts
	switch {
	case status.Agent == "":
		return "the agent does not answer (`journalctl -u hawser-agent`)"
	case !facts.Connection.Up && facts.Connection.Error != "":
		return facts.Connection.Error
	case !facts.Connection.Up:
		return "there is no connection to the manager"
	case facts.Configuration.Desired == "":
		return "the manager has not sent a desired state"
	case facts.Configuration.Applied != facts.Configuration.Desired && facts.Configuration.Message != "":
		return facts.Configuration.Message
	case !facts.Proxy.Ready:
		return fmt.Sprintf("the proxy is not ready (%s)", orElse(facts.Proxy.Message, "it has said nothing yet"))
	default:
		return "the desired state is still being applied"
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
