package agent

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestTrimWhenQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began, changed := time.Now(), make(chan struct{})
		var trimmed []time.Duration
		done := make(chan error)
		go func() {
			done <- trimWhenQuiet(ctx, changed, func() { trimmed = append(trimmed, time.Since(began)) })
		}()
		// Changes at 0 s, 6 s and 12 s keep it from being quiet until 22 s; from then on it stays so, up to one more at 15 min.
		for _, at := range []time.Duration{0, 6 * time.Second, 12 * time.Second, 15 * time.Minute} {
			select {
			case <-time.After(at - time.Since(began)):
			case <-ctx.Done():
			}
			changed <- struct{}{}
		}
		<-time.After(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want := []time.Duration{22 * time.Second, 5*time.Minute + 22*time.Second, 10*time.Minute + 22*time.Second, 15*time.Minute + 10*time.Second}
		if !slices.Equal(trimmed, want) {
			t.Errorf("trimmed at %v, want %v", trimmed, want)
		}
	})
}
