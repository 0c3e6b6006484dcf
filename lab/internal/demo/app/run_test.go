package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// A service that was told to end says so by its health, and serves whoever has not noticed yet.
func TestServiceDrains(t *testing.T) {
	s := &service{app: "web"}
	s.healthy.Store(true)
	listener := listen(t)
	url := "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	left := make(chan struct{})
	go func() {
		ended <- serveHTTP(ctx, listener, s.handler(), 300*time.Millisecond, func() {
			s.healthy.Store(false)
			close(left)
		})
	}()
	cancel()
	<-left
	for path, want := range map[string]int{"/healthz": http.StatusServiceUnavailable, "/": http.StatusOK} {
		if _, status, err := get(t.Context(), http.DefaultClient, url+path); err != nil || status != want {
			t.Errorf("while draining %s answers %d, %v, want %d", path, status, err, want)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, _, err := get(t.Context(), http.DefaultClient, url); err == nil {
		t.Error("the service answers after its end")
	}
}

func TestLinesAndGet(t *testing.T) {
	listener := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serveLines(ctx, listener, "legacy-db") }()
	address := "tcp://" + listener.Addr().String()
	idle, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	var out, errOut bytes.Buffer
	if code := Main([]string{"get", address}, &out, &errOut); code != 0 || out.String() != "legacy-db\n" {
		t.Errorf("exit code %d, printed %q, %q", code, out.String(), errOut.String())
	}
	cancel()
	if err := <-ended; err != nil { // an idle connection does not hold it up
		t.Error(err)
	}
	if code := Main([]string{"get", address}, io.Discard, io.Discard); code != 1 {
		t.Errorf("exit code %d for a service that is gone, want 1", code)
	}
}

func TestGetPrintsRefusals(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "RBAC: access denied", http.StatusForbidden)
	}))
	defer server.Close()
	var out, errOut bytes.Buffer
	code := Main([]string{"get", server.URL}, &out, &errOut)
	if code != 1 || out.String() != "RBAC: access denied\n" || !strings.Contains(errOut.String(), "403 Forbidden") {
		t.Errorf("exit code %d, printed %q, %q", code, out.String(), errOut.String())
	}
}

func TestBadCommandLines(t *testing.T) {
	for want, args := range map[string][]string{
		"--app":           {"serve"},
		"--target":        {"load"},
		"rate":            {"load", "--target=http://x", "--rate=0"},
		"unknown command": {"dance"},
		"missing port":    {"lines", "--listen=nowhere"},
	} {
		var errOut bytes.Buffer
		if code := Main(args, io.Discard, &errOut); code != 1 || !strings.Contains(errOut.String(), want) {
			t.Errorf("%v: exit code %d, printed %q, want 1 and %q", args, code, errOut.String(), want)
		}
	}
}

// answering is a transport that needs no network, so that time can be that of the test.
type answering struct{ failing atomic.Bool }

func (a *answering) RoundTrip(*http.Request) (*http.Response, error) {
	status := http.StatusOK
	if a.failing.Load() {
		status = http.StatusServiceUnavailable
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("said"))}, nil
}

var _ http.RoundTripper = (*answering)(nil)

func TestGeneratorCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &answering{}
		g := &generator{target: "http://web", interval: 100 * time.Millisecond, client: &http.Client{Transport: transport}}
		var log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+50*time.Millisecond)
		defer cancel()
		fail := time.AfterFunc(9*time.Second+50*time.Millisecond, func() { transport.failing.Store(true) })
		defer fail.Stop()
		if err := g.run(ctx, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		got := g.snapshot()
		if got.Requests != 100 || got.Failures != 10 || got.LastError != "status 503: said" {
			t.Errorf("got %+v, want 100 requests of which the last 10 failed", got)
		}
		if !strings.Contains(log.String(), "target=http://web") {
			t.Errorf("no report was printed: %q", log.String())
		}
	})
}

// noticing tells of the first request.
type noticing struct {
	answering
	once  sync.Once
	asked chan struct{}
}

func (n *noticing) RoundTrip(request *http.Request) (*http.Response, error) {
	n.once.Do(func() { close(n.asked) })
	return n.answering.RoundTrip(request)
}

// A generator in a pod ends with whoever started it.
func TestGeneratorEndsWithItsInput(t *testing.T) {
	transport := &noticing{asked: make(chan struct{})}
	g := &generator{target: "http://web", interval: time.Millisecond, client: &http.Client{Transport: transport}}
	in, end := io.Pipe()
	var out bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- g.generateWhile(t.Context(), listen(t), in, &out) }()
	<-transport.asked
	if err := errors.Join(end.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	var printed Stats
	if err := json.Unmarshal(out.Bytes(), &printed); err != nil || printed.Requests == 0 || printed.Failures != 0 {
		t.Errorf("it printed %q (%v)", out.String(), err)
	}
}
