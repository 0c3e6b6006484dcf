package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Schedule is when to probe and how many outcomes in a row make a verdict.
type Schedule struct {
	InitialDelay, Period, Timeout time.Duration
	Successes, Failures           int
}

// ScheduleOf reads health, with Kubernetes' defaults for what is not set.
func ScheduleOf(health *hawserv1.Health) Schedule {
	return Schedule{
		InitialDelay: time.Duration(health.GetInitialDelayMilliseconds()) * time.Millisecond,
		Period:       orDefault(health.GetPeriodMilliseconds(), 10*time.Second),
		Timeout:      orDefault(health.GetTimeoutMilliseconds(), time.Second),
		Successes:    max(int(health.GetSuccessThreshold()), 1),
		Failures:     thresholdOr(health.GetFailureThreshold(), 3),
	}
}

func orDefault(milliseconds int64, otherwise time.Duration) time.Duration {
	if milliseconds <= 0 {
		return otherwise
	}
	return time.Duration(milliseconds) * time.Millisecond
}

func thresholdOr(set, otherwise int32) int {
	if set <= 0 {
		return int(otherwise)
	}
	return int(set)
}

// reasonPeriod is how often other words for the same verdict are told: an application whose answer holds the time fails with other
// words each time, and each verdict is a report.
const reasonPeriod = time.Minute

// Run probes by schedule until ctx ends and tells each verdict that differs from the one before, in order; one that differs in its
// reason alone, once in a while. The verdict is begin until there are outcomes enough for another one; that of the first outcome is
// always told, so that whoever waits for a verdict gets one.
func Run(ctx context.Context, checker Checker, schedule Schedule, begin Verdict, tell func(Verdict)) error {
	if schedule.InitialDelay > 0 {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(schedule.InitialDelay):
		}
	}
	threshold := newThreshold(begin, schedule.Successes, schedule.Failures)
	var last Verdict
	var told time.Time
	for {
		next := Next(time.Now(), schedule.Period)
		verdict := threshold.add(once(ctx, checker, schedule.Timeout))
		if ctx.Err() != nil {
			return nil
		}
		if told.IsZero() || verdict.Ready != last.Ready || verdict != last && time.Since(told) >= reasonPeriod {
			tell(verdict)
			last, told = verdict, time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(next)):
		}
	}
}

func once(ctx context.Context, checker Checker, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := checker.Check(limited)
	if err != nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s: %w", timeout, err)
	}
	return err
}
