package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
)

// envoy answers as the administration interface does.
func envoy(t *testing.T, connections string) (port int, drained *int) {
	t.Helper()
	drained = new(int)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /drain_listeners", func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("graceful") {
			http.Error(w, "at once", http.StatusBadRequest)
			return
		}
		*drained++
		fmt.Fprintln(w, "OK")
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("filter") == "^server.total_connections$" {
			fmt.Fprint(w, connections)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if port, err = strconv.Atoi(at.Port()); err != nil {
		t.Fatal(err)
	}
	return port, drained
}

func TestAProxyDrains(t *testing.T) {
	port, drained := envoy(t, "")
	for range 2 {
		if err := NewAdmin().Drain(t.Context(), port); err != nil {
			t.Fatal(err)
		}
	}
	if *drained != 2 {
		t.Errorf("told %d times", *drained)
	}
}

func TestConnectionsOfAProxy(t *testing.T) {
	for text, want := range map[string]string{
		"server.total_connections: 17\n": "17 <nil>",
		"server.total_connections: 0\n":  "0 <nil>",
		"":                               `0 the proxy does not tell its connections: ""`,
	} {
		port, _ := envoy(t, text)
		if n, err := NewAdmin().Connections(t.Context(), port); fmt.Sprint(n, " ", err) != want {
			t.Errorf("%q: %d, %v, want %s", text, n, err, want)
		}
	}
}
