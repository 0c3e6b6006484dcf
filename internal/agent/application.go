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

// watchApplication runs the probe of the newest state, and begins anew when the state has another one.
func watchApplication(ctx context.Context, mailbox *mailbox, changed <-chan struct{}, board *report.Board, looked func()) error {
	for {
		health := mailbox.want().GetHealth()
		probing, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- probeApplication(probing, health, board, looked) }()
		for proto.Equal(health, mailbox.want().GetHealth()) && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
		cancel()
		if err := <-done; err != nil || ctx.Err() != nil {
			return err
		}
	}
}

func probeApplication(ctx context.Context, health *hawserv1.Health, board *report.Board, looked func()) error {
	checker := probe.New(health)
	if checker == nil {
		board.Update(func(f *report.Facts) { f.Application = report.Application{} })
		looked()
		return nil
	}
	if was := board.Facts().Application; !was.Probed {
		board.Update(func(f *report.Facts) { f.Application = report.Application{Probed: true, Message: "not probed yet"} })
	}
	schedule := probe.ScheduleOf(health)
	schedule.InitialDelay = delayLeft(schedule.InitialDelay, uptime())
	return probe.Run(ctx, checker, schedule, func(verdict probe.Verdict) {
		board.Update(func(f *report.Facts) {
			f.Application = report.Application{Probed: true, Ready: verdict.Ready, Message: verdict.Reason}
		})
		looked()
	})
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
