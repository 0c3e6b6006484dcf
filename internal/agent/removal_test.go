package agent

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/notify"
)

func TestRemovedMachineLeaves(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	w.manager.Await(t, 0, `applied="g1"`)
	w.manager.Remove("the Machine was deleted")
	w.awaitGone()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if w.machine.String() != "applied= token=token-g1 restored=true" || !w.service.retired.Load() {
		t.Errorf("machine %s, retired %v", w.machine, w.service.retired.Load())
	}
	if _, err := os.Stat(w.store.Directory()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", w.store.Directory(), err)
	}
	if err := w.run()(); !errors.Is(err, errNotJoined) {
		t.Errorf("running after it: %v", err)
	}
	if events := w.manager.Events(); !strings.HasSuffix(strings.TrimSpace(events), "leave shop/vm-1") {
		t.Errorf("the manager was not told:\n%s", events)
	}
}

// A host that has no network any more is put back all the same.
func TestRemovedMachineLeavesWithoutItsManager(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	w.manager.Await(t, 0, `applied="g1"`)
	w.machine.restoring, w.machine.release = make(chan struct{}), make(chan struct{})
	w.manager.Remove("the Machine was deleted")
	<-w.machine.restoring
	w.manager.Stop(t)
	close(w.machine.release)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.store.Directory()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", w.store.Directory(), err)
	}
}

// A removal that was cut off goes on when the agent is started again. It must not become a member again meanwhile.
func TestRemovalIsFinishedAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.manager.Desire(state("g1"))
	stop := w.run()
	w.manager.Await(t, 0, `applied="g1"`)
	w.machine.fail(errors.New("the disk is read-only"))
	w.manager.Remove("the Machine was deleted")
	w.awaitGone()
	if err := stop(); err == nil || !strings.Contains(err.Error(), "the disk is read-only") {
		t.Errorf("got %v", err)
	}
	before := w.manager.Events()
	w.machine.mend()
	if err := Run(t.Context(), w.options()); err != nil {
		t.Error(err)
	}
	if after := strings.TrimSpace(strings.TrimPrefix(w.manager.Events(), before)); !strings.HasPrefix(after, "leave ") || strings.Contains(after, "\n") {
		t.Errorf("it did more than leave:\n%s", after)
	}
	if w.machine.String() != "applied= token=token-g1 restored=true" || !w.service.retired.Load() {
		t.Errorf("machine %s, retired %v", w.machine, w.service.retired.Load())
	}
}

// Putting a host back takes as long as its proxy drains. To systemd the agent is alive all that time, and is not stopping: else it
// would be killed halfway.
func TestRemovalKeepsSystemdPatient(t *testing.T) {
	w := newWorld(t)
	w.notify = notify.Socket(filepath.Join(t.TempDir(), "notify"))
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: string(w.notify), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer systemd.Close()
	w.manager.Desire(state("g1"))
	w.machine.restoring, w.machine.release = make(chan struct{}), make(chan struct{})
	stop := w.run()
	told := make(chan string, 10000)
	go func() {
		for buffer := make([]byte, 64); ; {
			n, err := systemd.Read(buffer)
			if err != nil {
				close(told)
				return
			}
			told <- string(buffer[:n])
		}
	}()
	w.manager.Await(t, 0, `applied="g1"`)
	w.manager.Remove("the Machine was deleted")
	<-w.machine.restoring
	for len(told) > 0 {
		if said := <-told; said == notify.Stopping {
			t.Error("systemd was told that the agent stops")
		}
	}
	for range 5 {
		select {
		case <-told:
		case <-time.After(20 * time.Second):
			t.Fatal("systemd hears nothing while the host is put back")
		}
	}
	close(w.machine.release)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// awaitGone returns once no agent answers on the socket.
func (w *world) awaitGone() {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if err := local.NewClient(w.socket).Watch(w.t.Context(), func(local.Status) bool { return true }); errors.Is(err, local.ErrNotRunning) {
			return
		}
	}
	w.t.Fatal("the agent still answers")
}
