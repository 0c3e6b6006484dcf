package notify

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestSendAndWatchdog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	if err := systemd.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	receive := func(want string) {
		t.Helper()
		buffer := make([]byte, 64)
		n, err := systemd.Read(buffer)
		if err != nil || string(buffer[:n]) != want {
			t.Errorf("systemd got %q, %v, want %q", buffer[:n], err, want)
		}
	}
	if err := Socket(path).Send(Ready); err != nil {
		t.Fatal(err)
	}
	receive("READY=1")

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Socket(path).Watchdog(ctx, time.Millisecond, func() {}) }()
	receive("WATCHDOG=1")
	receive("WATCHDOG=1")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOutsideOfSystemd(t *testing.T) {
	if err := Socket("").Send(Ready); err != nil {
		t.Error(err)
	}
	for value, want := range map[string]time.Duration{"": 0, "x": 0, "30000000": 15 * time.Second} {
		if got := WatchdogInterval(value); got != want {
			t.Errorf("WATCHDOG_USEC=%q: %s, want %s", value, got, want)
		}
	}
}
