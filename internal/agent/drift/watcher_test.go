package drift

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A change below the root is told, and by one wake-up: what a kernel refuses to tell of is another matter.
func TestWatcher(t *testing.T) {
	root := t.TempDir()
	must(t, os.Mkdir(filepath.Join(root, "etc"), 0o755))
	w := NewWatcher(root, slog.New(slog.NewTextHandler(t.Output(), nil)))
	w.Follow([]string{"/etc/hosts"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	told := func() {
		t.Helper()
		select {
		case <-w.Changed():
		case <-time.After(20 * time.Second):
			t.Fatal("nothing was told")
		}
	}
	told() // what may have changed before it ran
	for range 3 {
		must(t, os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o644))
	}
	told()
	cancel()
	must(t, <-done)
	if w.Follow(nil) {
		t.Error("one that has ended follows")
	}
}
