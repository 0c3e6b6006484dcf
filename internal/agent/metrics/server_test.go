package metrics

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve returns the address of a server of that page, which ends with the test.
func serve(t *testing.T, page func() (string, error)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		NewServer("", page, slog.New(slog.DiscardHandler)).Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return listener.Addr().String()
}

func up() (string, error) { return "up 1\n", nil }

func TestScrape(t *testing.T) {
	address := serve(t, up)
	for range 3 {
		response, err := http.Get("http://" + address + "/metrics?x=1")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != "up 1\n" || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != contentType {
			t.Errorf("%s %v %q, %v", response.Status, response.Header, body, err)
		}
	}
}

// answerTo sends bytes and returns all that comes back.
func answerTo(t *testing.T, address, request string) string {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	// The server may close before it has read all of it.
	_, _ = io.WriteString(connection, request)
	answer, err := io.ReadAll(bufio.NewReader(connection))
	if err != nil && len(answer) == 0 {
		return "reset"
	}
	return string(answer)
}

func TestOtherRequests(t *testing.T) {
	address := serve(t, up)
	for name, c := range map[string]struct{ request, want, wantNot string }{
		"head":        {"HEAD /metrics HTTP/1.1\r\nHost: vm\r\n\r\n", "HTTP/1.1 200 OK", "up 1"},
		"http-1.0":    {"GET /metrics HTTP/1.0\r\n\r\n", "up 1", "chunked"},
		"other-path":  {"GET / HTTP/1.1\r\nHost: vm\r\n\r\n", "HTTP/1.1 404 Not Found", "up 1"},
		"post":        {"POST /metrics HTTP/1.1\r\nHost: vm\r\nContent-Length: 0\r\n\r\n", "Allow: GET, HEAD", "up 1"},
		"not-http":    {"\x16\x03\x01\r\n\r\n", "HTTP/1.1 400 Bad Request", "up 1"},
		"hardly-sent": {"GET /metrics HTTP/1.1\r\nHost: vm\r\n" + strings.Repeat("X-A: b\r\n", maxRequest) + "\r\n", "", "up 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got := answerTo(t, address, c.request)
			if !strings.Contains(got, c.want) || strings.Contains(got, c.wantNot) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestPageThatCannotBeMade(t *testing.T) {
	address := serve(t, func() (string, error) { return "", errors.New("no /proc") })
	if got := answerTo(t, address, "GET /metrics HTTP/1.1\r\nHost: vm\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 500 ") || strings.Contains(got, "/proc") {
		t.Errorf("got %q", got)
	}
}

// An agent whose port is taken, or that has none, runs on and stops when it is told to.
func TestWithoutAPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, address := range map[string]string{"taken": taken.Addr().String(), "none": "", "nonsense": "what"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- NewServer(address, up, slog.New(slog.DiscardHandler)).Run(ctx) }()
			select {
			case err := <-done:
				t.Fatalf("it ended by itself: %v", err)
			default:
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A connection on which nothing comes is given up when the agent stops, and is not waited for.
func TestStopWhileSomebodyIsSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		NewServer("", up, slog.New(slog.DiscardHandler)).Serve(ctx, listener)
	}()
	began := time.Now()
	cancel()
	<-done
	if took := time.Since(began); took >= patience {
		t.Errorf("it stopped after %v", took)
	}
}
