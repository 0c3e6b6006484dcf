package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// Server is the lab's API on its unix socket: JSON over HTTP, for root.
type Server struct {
	layout Layout
	mux    *http.ServeMux
}

// NewServer makes a server without routes.
func NewServer(layout Layout) *Server {
	return &Server{layout: layout, mux: http.NewServeMux()}
}

// Handle adds a route, with a pattern of http.ServeMux. What the handler returns is sent as JSON; an error as its text,
// with status 500 or, for a *RequestError, 400.
func (s *Server) Handle(pattern string, handler func(r *http.Request) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		result, err := handler(r)
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			status := http.StatusInternalServerError
			if _, wrong := errors.AsType[*RequestError](err); wrong {
				status = http.StatusBadRequest
			}
			w.WriteHeader(status)
			result = failure{Error: err.Error()}
		}
		_ = json.NewEncoder(w).Encode(result) // the caller has gone
	})
}

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context) error {
	path := s.layout.Socket()
	_ = os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("restrict %s to root: %w", path, err), listener.Close())
	}
	server := &http.Server{Handler: s.mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", path, err)
	case <-ctx.Done():
		err := server.Close()
		<-served
		return err
	}
}

type failure struct {
	Error string `json:"error"`
}

// RequestError says that the caller asked for something impossible.
type RequestError struct{ Message string }

func (e *RequestError) Error() string { return e.Message }

// ErrDown means that no lab answers.
var ErrDown = errors.New("the lab is not running; start it with `hawser-lab up`")

// Client calls the API of a lab from the host.
type Client struct {
	http   http.Client
	socket string
}

// NewClient makes a client; it connects with each call.
func NewClient(layout Layout) *Client {
	client := &Client{socket: layout.Socket()}
	client.http.Transport = &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", client.socket)
		},
	}
	return client
}

// Call sends a request without body to path, which may have a query, and decodes the answer into result unless it is nil.
// It returns ErrDown when nothing listens.
func (c *Client) Call(ctx context.Context, method, path string, result any) error {
	return c.send(ctx, method, path, http.NoBody, result)
}

// Send is Call with a body, which is sent as JSON.
func (c *Client) Send(ctx context.Context, method, path string, body, result any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.send(ctx, method, path, bytes.NewReader(encoded), result)
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader, result any) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://lab"+path, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		if _, unreachable := errors.AsType[*net.OpError](err); unreachable && ctx.Err() == nil {
			return ErrDown
		}
		return fmt.Errorf("ask the lab: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var problem failure
		if err := json.NewDecoder(response.Body).Decode(&problem); err != nil || problem.Error == "" {
			return fmt.Errorf("the lab answers %s to %s %s", response.Status, method, path)
		}
		return errors.New(problem.Error)
	}
	if result == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(result)
}
