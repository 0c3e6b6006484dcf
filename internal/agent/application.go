package agent

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/probe"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// neverProbed is an application that nothing is known of yet.
func neverProbed() report.Application { return applicationOf(probe.Unknown()) }

func applicationOf(verdict probe.Verdict) report.Application {
	return report.Application{Probed: true, Ready: verdict.Ready, Message: verdict.Reason}
}

// watchApplication runs the probe of the newest state and tells what is known of the application. It begins anew when the state has another
// probe, with what it knew: a group that is given one does not take its machines out of rotation until it has failed as often as it has to.
func watchApplication(ctx context.Context, mailbox *mailbox, changed <-chan struct{}, tell func(report.Application)) error {
	known := probe.Unknown()
	for {
		state := mailbox.want()
		probing, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- probeApplication(probing, state.GetHealth(), &known, tell) }()
		for proto.Equal(state.GetHealth(), mailbox.want().GetHealth()) && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
		cancel()
		if err := <-done; err != nil || ctx.Err() != nil {
			return err
		}
		if state == nil {
			known = probe.Unknown()
		}
	}
}

// probeApplication tells what is known before the first outcome as well, and keeps known up to date. Without a probe, the application is as good as ready.
func probeApplication(ctx context.Context, health *hawserv1.Health, known *probe.Verdict, tell func(report.Application)) error {
	checker := probe.New(health)
	if checker == nil {
		*known = probe.Verdict{Ready: true}
		tell(report.Application{})
		return nil
	}
	learn := func(verdict probe.Verdict) {
		*known = verdict
		tell(applicationOf(verdict))
	}
	learn(*known)
	schedule := probe.ScheduleOf(health)
	schedule.InitialDelay = delayLeft(schedule.InitialDelay, uptime())
	return probe.Run(ctx, checker, schedule, *known, learn)
}

// tellApplication puts what is known of the application on the board, and says that it was looked at once anything is.
func (d *daemon) tellApplication(now report.Application) {
	d.board.Update(func(f *report.Facts) { f.Application = now })
	if now != neverProbed() {
		d.lookedApplication()
	}
}

// delayLeft is what is left of a probe's initial delay. An application starts with its host: once the host is up for longer,
// there is nothing to wait for, and an agent that was restarted has to know at once how the application is.
func delayLeft(delay, uptime time.Duration) time.Duration { return max(delay-uptime, 0) }

func uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
