package roundtrip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestDo(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.Header.Get("X-Probe"), r.Header.Get("Connection"))
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusAccepted)
	})
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("long ", 10000)) })
	mux.Handle("/moved", http.RedirectHandler("/who", http.StatusFound))
	plain, encrypted := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer encrypted.Close()
	for name, c := range map[string]struct {
		url, status, location, body string
	}{
		"plain":     {plain.URL + "/who", "200 OK", "", "GET ratings.example 1 close"},
		"encrypted": {encrypted.URL + "/who", "200 OK", "", "GET ratings.example 1 close"},
		"interim":   {plain.URL + "/early", "202 Accepted", "", ""},
		"long":      {plain.URL + "/long", "200 OK", "", strings.Repeat("long ", 8)},
		"redirect":  {plain.URL + "/moved", "302 Found", "/who", `<a href="/who">Found</a>.`},
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "ratings.example"
			request.Header.Set("X-Probe", "1")
			answer, err := Do(request, 40)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != c.status || answer.Header.Get("Location") != c.location || strings.TrimSpace(string(answer.Body)) != strings.TrimSpace(c.body) {
				t.Errorf("got %s %q %q", answer.Status, answer.Header.Get("Location"), answer.Body)
			}
		})
	}
}

// A kept connection serves many requests, and another follows when it ends, or when an answer is longer than what is read of it.
func TestKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			w.Header().Set("Connection", "close")
		}
		fmt.Fprint(w, r.RemoteAddr)
		if r.URL.Path == "/long" {
			fmt.Fprint(w, strings.Repeat(" long", 100))
		}
	}))
	defer server.Close()
	var kept Kept
	ask := func(path string) string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := kept.Do(request, 100)
		if err != nil {
			t.Fatal(err)
		}
		address, _, _ := strings.Cut(string(answer.Body), " ")
		return address
	}
	first := ask("/")
	for _, step := range []struct {
		path string
		same bool
	}{{"/", true}, {"/long", true}, {"/", false}, {"/close", true}, {"/", false}} {
		now := ask(step.path)
		if (now == first) != step.same {
			t.Errorf("%s: came from %s after %s, the same connection: want %v", step.path, now, first, step.same)
		}
		first = now
	}
	server.CloseClientConnections()
	if now := ask("/"); now == first {
		t.Error("a broken connection was used")
	}
	if err := errors.Join(kept.Close(), kept.Close()); err != nil {
		t.Error(err)
	}
}

// Between two requests, a kept connection tells that its server has gone.
func TestKeptWait(t *testing.T) {
	synced := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RemoteAddr) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateIdle {
			select {
			case synced <- struct{}{}:
			default:
			}
		}
	}
	server.Start()
	defer server.Close()
	var kept Kept
	ask := func() string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := kept.Do(request, 100)
		if err != nil {
			t.Fatal(err)
		}
		<-synced
		return string(answer.Body)
	}
	if err := kept.Wait(t.Context(), time.Now()); err != nil {
		t.Error(err)
	}
	first := ask()
	if err := kept.Wait(t.Context(), time.Now().Add(time.Millisecond)); err != nil {
		t.Error(err)
	}
	if now := ask(); now != first {
		t.Errorf("after waiting, %s asks in place of %s", now, first)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := kept.Wait(canceled, time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	ask()
	server.CloseClientConnections()
	if err := kept.Wait(t.Context(), time.Now().Add(time.Hour)); !errors.Is(err, ErrEnded) {
		t.Errorf("the server hung up: %v, want ErrEnded", err)
	}
	ask()
}

// A server that takes the connection and says nothing, or nothing of HTTP, is told apart from one that is slow.
func TestDoFails(t *testing.T) {
	silent := make(chan struct{})
	for name, c := range map[string]struct {
		answer func(net.Conn)
		cancel bool
		want   string
	}{
		"silent":   {func(net.Conn) { close(silent) }, true, "context canceled"},
		"hangs-up": {func(c net.Conn) { c.Close() }, false, ""},
		"not-http": {func(c net.Conn) { fmt.Fprint(c, "SSH-2.0\r\n"); c.Close() }, false, "malformed HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				// The request has come when its first bytes have.
				_, _ = connection.Read(make([]byte, 4096))
				c.answer(connection)
				if c.cancel {
					_, _ = connection.Read(make([]byte, 1))
				}
				connection.Close()
			}()
			ctx, cancel := context.WithCancel(t.Context())
			if c.cancel {
				go func() { <-silent; cancel() }()
			}
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Do(request, 40)
			if err == nil || !strings.Contains(err.Error(), c.want) || c.cancel && !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			cancel()
			<-done
			listener.Close()
		})
	}
}
