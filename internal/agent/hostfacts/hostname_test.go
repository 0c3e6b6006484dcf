package hostfacts_test

import (
	"context"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/hostfacts"
)

// TestWatchHostname renames a host of the test's own: a UTS namespace, which belongs to the thread.
func TestWatchHostname(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root makes UTS namespaces")
	}
	before := hostfacts.Hostname()
	changed := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	watching := make(chan struct{})
	go func() {
		close(watching)
		ended <- hostfacts.WatchHostname(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	<-watching
	renamed := make(chan error, 1)
	go func() {
		// Not unlocked: the thread ends with the goroutine, and its namespace with it.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWUTS)
		for err == nil {
			if err = unix.Sethostname([]byte("renamed")); err != nil {
				break
			}
			// The watch may not have begun: only what comes after tells.
			select {
			case <-changed:
				renamed <- nil
				return
			default:
			}
		}
		renamed <- err
	}()
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if now := hostfacts.Hostname(); now != before {
		t.Errorf("the test's host is called %q now, not %q", now, before)
	}
}
