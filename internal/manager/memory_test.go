package manager

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var allocated, releases atomic.Uint64
		m := &memory{allocated: allocated.Load, release: func() { releases.Add(1) }}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Start(ctx) }()
		want := func(when string, n uint64) {
			t.Helper()
			synctest.Wait()
			if got := releases.Load(); got != n {
				t.Errorf("%s: released %d times, want %d", when, got, n)
			}
		}
		for range 10 {
			allocated.Add(100 << 20)
			time.Sleep(time.Second)
		}
		want("in the middle of a burst", 0)
		time.Sleep(5 * time.Second)
		want("after it", 1)
		time.Sleep(time.Hour)
		want("while nothing happens", 1)
		for range 60 {
			allocated.Add(1 << 20)
			time.Sleep(time.Second)
		}
		want("after a minute of keepalives", 2)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAllocatedBytesGrow(t *testing.T) {
	before := allocatedBytes()
	sink := make([][]byte, 1000)
	for i := range sink {
		sink[i] = make([]byte, 10<<10)
	}
	if grown := allocatedBytes() - before; grown < 9<<20 || len(sink) != 1000 {
		t.Errorf("10 MB were allocated, and %d bytes are told", grown)
	}
}
