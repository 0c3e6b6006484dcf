package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// service is one HTTP service of the application.
type service struct {
	app, host, version string
	// upstream is the URL that every request of / is followed by, and call the one of /call; either may be empty.
	upstream, call string
	client         *http.Client
	healthy        atomic.Bool
}

// handler serves the service's answers, its health, and the switch for its health.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("POST /admin/health", s.setHealth)
	mux.HandleFunc("GET /call", func(w http.ResponseWriter, r *http.Request) {
		if s.call == "" {
			http.NotFound(w, r)
			return
		}
		s.answer(w, r, s.call)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, s.upstream) })
	return mux
}

// answer says who this is and who asked, after asking the service behind. When that fails the status is 502. With ?delay=DURATION it takes that long.
func (s *service) answer(w http.ResponseWriter, r *http.Request, upstream string) {
	if err := pause(r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p := parseXFCC(r.Header.Get("X-Forwarded-Client-Cert"))
	answer := Answer{App: s.app, Host: s.host, Version: s.version, Caller: p.caller, Self: p.self}
	status := http.StatusOK
	if upstream != "" {
		behind, err := ask(r.Context(), s.client, upstream)
		answer.Upstream = behind
		if err != nil {
			answer.Error, status = err.Error(), http.StatusBadGateway
		}
	}
	writeJSON(w, status, answer)
}

// pause waits for as long as the request asks for, if its client does.
func pause(r *http.Request) error {
	asked := r.URL.Query().Get("delay")
	if asked == "" {
		return nil
	}
	delay, err := time.ParseDuration(asked)
	if err != nil || delay > time.Minute {
		return errors.New("say ?delay=3s, a minute at most")
	}
	select {
	case <-r.Context().Done():
	case <-time.After(delay):
	}
	return nil
}

func (s *service) health(w http.ResponseWriter, _ *http.Request) {
	if !s.healthy.Load() {
		http.Error(w, "unhealthy", http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (s *service) setHealth(w http.ResponseWriter, r *http.Request) {
	ok, err := strconv.ParseBool(r.URL.Query().Get("ok"))
	if err != nil {
		http.Error(w, "say ?ok=true or ?ok=false", http.StatusBadRequest)
		return
	}
	s.healthy.Store(ok)
	w.WriteHeader(http.StatusNoContent)
}

// writeJSON ends an answer; a client that has gone away is not an error of the service.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
