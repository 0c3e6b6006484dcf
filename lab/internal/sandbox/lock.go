package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// Lock keeps two processes from starting or removing the same lab at once: it waits for the other. The lock is a name among
// the host's abstract sockets (unix(7)), so that it ends with its process and leaves no file.
func Lock(ctx context.Context, layout Layout) (unlock func(), err error) {
	for {
		listener, err := net.Listen("unix", "@"+layout.HostLink)
		if err == nil {
			return func() { _ = listener.Close() }, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("lock the lab: %w", err)
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("another hawser-lab starts or stops the lab: %w", ctx.Err())
		}
	}
}
