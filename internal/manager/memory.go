package manager

import (
	"context"
	"os"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// memory gives back to the host what a burst of work took. Go's heap may grow to twice of what is used, and stays so as long as there is room:
// with thousands of machines that are idle most of the time, half of the manager's memory would lie waste. See docs/adr/0017.
type memory struct {
	// allocated is all that was ever allocated, in bytes.
	allocated func() uint64
	release   func()
}

// What is allocated within a look's interval is less than calm while nothing happens, keepalives of 10,000 streams included. A release costs a
// collection: it comes after calmLooks of calm, and if there were more than worthwhile bytes allocated since the last one.
const (
	lookEvery  = time.Second
	calm       = 4 << 20
	calmLooks  = 2
	worthwhile = 32 << 20
)

// gcPercent is by how much of what is used the heap may grow before it is collected. What is allocated for good in a burst lies scattered among what
// is garbage after it, and keeps the pages of both: the less there is at a time, the fewer.
const gcPercent = 50

// limitHeap sets gcPercent, unless the environment says otherwise.
func limitHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}

func newMemory() *memory { return &memory{allocated: allocatedBytes, release: release} }

// release collects garbage twice: stacks that grew shrink by half each time, and pools of buffers are empty after the second.
func release() {
	debug.FreeOSMemory()
	debug.FreeOSMemory()
}

// NeedLeaderElection reports false.
func (m *memory) NeedLeaderElection() bool { return false }

// Start works until ctx ends.
func (m *memory) Start(ctx context.Context) error {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	last, released, quiet := m.allocated(), uint64(0), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := m.allocated()
		quiet++
		if now-last > calm {
			quiet = 0
		}
		last = now
		if quiet >= calmLooks && now-released > worthwhile {
			m.release()
			released, quiet = now, 0
		}
	}
}

func allocatedBytes() uint64 {
	sample := []runtimemetrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	runtimemetrics.Read(sample)
	return sample[0].Value.Uint64()
}
