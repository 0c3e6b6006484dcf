// Package notify speaks the protocol of sd_notify(3): it tells systemd that the agent is ready, alive, or stopping. Outside
// of systemd it does nothing. It must not decide when that is so.
package notify

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"
)

// States that systemd knows.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
	alive    = "WATCHDOG=1"
)

// Socket is the value of NOTIFY_SOCKET; empty outside of systemd.
type Socket string

// Send tells systemd a state, or "STATUS=" with a line for `systemctl status`.
func (s Socket) Send(state string) error {
	if s == "" {
		return nil
	}
	// Go's net takes a leading "@" as the abstract name space, like systemd.
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: string(s), Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell systemd %q: %w", state, err)
	}
	defer connection.Close()
	if _, err := connection.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell systemd %q: %w", state, err)
	}
	return nil
}

// WatchdogInterval reads WATCHDOG_USEC and returns how often to say alive: half of what systemd waits for. 0: never.
func WatchdogInterval(microseconds string) time.Duration {
	n, err := strconv.ParseInt(microseconds, 10, 64)
	if err != nil || n <= 0 {
		return 0
	}
	return time.Duration(n) * time.Microsecond / 2
}

// Watchdog says alive every interval until ctx ends, as long as check returns: if the agent's state is locked up, systemd
// hears nothing and starts it again.
func (s Socket) Watchdog(ctx context.Context, interval time.Duration, check func()) error {
	if interval == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		check()
		if err := s.Send(alive); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
