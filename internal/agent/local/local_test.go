package local

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/report"
)

// fakeAgent is a board behind the socket.
type fakeAgent struct{ board *report.Board }

var _ Agent = fakeAgent{}

func (a fakeAgent) Status() Status {
	status := Describe(a.board.Facts(), a.board.Report())
	status.Machine.Name = "vm-1"
	return status
}

func (a fakeAgent) Watch() (<-chan struct{}, func()) { return a.board.Watch() }

func (a fakeAgent) Drain(context.Context, bool) error {
	if a.board.Facts().Draining {
		return errors.New("draining already")
	}
	a.board.Update(func(f *report.Facts) { f.Draining = true })
	return nil
}

func serve(t *testing.T) (*report.Board, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	board, done := report.NewBoard(time.Now), make(chan error)
	go func() { done <- NewServer(fakeAgent{board}, slog.New(slog.DiscardHandler)).Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return board, path
}

func TestStatusAndDrain(t *testing.T) {
	_, path := serve(t)
	client := NewClient(path)
	status, err := client.Status(t.Context())
	if err != nil || status.Machine.Name != "vm-1" || status.Facts.Draining || len(status.Conditions) != 6 {
		t.Errorf("status %+v, %v", status, err)
	}
	if err := client.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if err := client.Drain(t.Context()); err == nil || err.Error() != "draining already" {
		t.Errorf("the second drain: %v", err)
	}
}

func TestWatchSeesChanges(t *testing.T) {
	board, path := serve(t)
	var seen []string
	err := NewClient(path).Watch(t.Context(), func(status Status) bool {
		seen = append(seen, status.Facts.Address)
		if status.Facts.Address == "" {
			board.Update(func(f *report.Facts) { f.Address = "10.0.0.1" })
			return true
		}
		return false
	})
	if got := strings.Join(seen, ","); err != nil || got != ",10.0.0.1" {
		t.Errorf("seen %q, %v", got, err)
	}
}

func TestBadRequestsAreAnswered(t *testing.T) {
	_, path := serve(t)
	for line, want := range map[string]string{"{\"command\":\"reboot\"}\n": `does not know the command \"reboot\"`, "hello\n": "not a request"} {
		connection, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
		answer, err := bufio.NewReader(connection).ReadString('\n')
		if err != nil || !strings.Contains(answer, want) {
			t.Errorf("%q: answer %q, %v, want %q", line, answer, err, want)
		}
		connection.Close()
	}
}

func TestSocket(t *testing.T) {
	_, path := serve(t)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another agent runs") {
		t.Errorf("a second agent: %v", err)
	}
	if _, err := NewClient(path + ".none").Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no agent: %v", err)
	}

	stale := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := Listen(stale)
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	if _, err := NewClient(stale).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a socket without an agent: %v", err)
	}
	listener, err = Listen(stale)
	if err != nil {
		t.Fatalf("a socket that a crash left behind: %v", err)
	}
	listener.Close()
}

// An agent that hangs still holds its socket, though the kernel takes no more connections to it.
func TestAHungAgentKeepsItsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	descriptor, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(descriptor)
	if err := errors.Join(unix.Bind(descriptor, &unix.SockaddrUnix{Name: path}), unix.Listen(descriptor, 0)); err != nil {
		t.Fatal(err)
	}
	for {
		connection, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		defer connection.Close()
	}
	if listener, err := Listen(path); err == nil {
		listener.Close()
		t.Error("its socket was taken over")
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if _, err := NewClient(path).Status(t.Context()); err == nil || !strings.Contains(err.Error(), "systemctl restart hawser-agent") {
		t.Errorf("asking it: %v", err)
	}
}

// busyAgent never gets to the end of a drain.
type busyAgent struct{ fakeAgent }

func (busyAgent) Drain(ctx context.Context, _ bool) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestClientThatGivesUpIsNotWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- NewServer(busyAgent{fakeAgent{report.NewBoard(time.Now)}}, slog.New(slog.DiscardHandler)).Serve(ctx, listener)
	}()
	limited, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := NewClient(path).Drain(limited); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
