package manager

import (
	"context"
	"time"
)

// Changed passes the changes of a source on to who publishes, and takes the time of each first: nobody sends what follows from a change
// before its time is known. Each call makes a channel of capacity one, which is given up when ctx ends; changes in between are merged.
func (m *metrics) Changed(changed func(context.Context) <-chan struct{}) func(context.Context) <-chan struct{} {
	return func(ctx context.Context) <-chan struct{} {
		in, out := changed(ctx), make(chan struct{}, 1)
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-in:
					now := time.Now()
					m.change.Store(&now)
					select {
					case out <- struct{}{}:
					default:
					}
				}
			}
		}()
		return out
	}
}
