package metrics

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// patience is how long one exchange may take from the first byte to the last. The next one waits.
	patience = 3 * time.Second
	// maxRequest is more than the head of a scrape, and all that is read of a request.
	maxRequest = 8 << 10
	// contentType of the text format.
	contentType = "text/plain; version=0.0.4; charset=utf-8"
)

// Server answers GET /metrics, one connection after the other, one request on each.
type Server struct {
	address string
	page    func() (string, error)
	log     *slog.Logger
}

// NewServer makes a server that listens on address, which is HOST:PORT, or on nothing if it is empty.
func NewServer(address string, page func() (string, error), log *slog.Logger) *Server {
	return &Server{address, page, log}
}

// Run serves until ctx ends. An address that cannot be had is no error: an agent that cannot be asked still has its work.
func (s *Server) Run(ctx context.Context) error {
	if s.address == "" {
		<-ctx.Done()
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		s.log.Warn("no metrics are served; set another HAWSER_METRICS_ADDRESS, or an empty one, in /etc/default/hawser-agent", "error", err)
		<-ctx.Done()
		return nil
	}
	s.Serve(ctx, listener)
	return nil
}

// Serve serves connections of the listener, which it closes, until ctx ends.
func (s *Server) Serve(ctx context.Context, listener net.Listener) {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		connection, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = connection.Close()
			}
			return
		case err != nil:
			// There are no descriptors, or the other end has given up. The former lasts.
			s.log.Warn("could not take a connection for metrics", "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(patience):
			}
		default:
			s.exchange(ctx, connection)
		}
	}
}

// exchange reads a request and answers it. What fails is the asker's trouble, who sees it.
func (s *Server) exchange(ctx context.Context, connection net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer func() {
		stop()
		_ = connection.Close()
	}()
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	status, kind, body, head := http.StatusBadRequest, "text/plain; charset=utf-8", "", false
	if request, err := http.ReadRequest(bufio.NewReaderSize(io.LimitReader(connection, maxRequest), 1<<10)); err == nil {
		head = request.Method == http.MethodHead
		status, kind, body = s.answer(request.Method, request.URL.Path)
	}
	if status != http.StatusOK {
		body = http.StatusText(status) + "\n"
	}
	// Errors of write: see above.
	_, _ = io.WriteString(connection, response(status, kind, body, head))
}

func (s *Server) answer(method, path string) (status int, kind, body string) {
	switch {
	case path != "/metrics":
		return http.StatusNotFound, "text/plain; charset=utf-8", ""
	case method != http.MethodGet && method != http.MethodHead:
		return http.StatusMethodNotAllowed, "text/plain; charset=utf-8", ""
	}
	page, err := s.page()
	if err != nil {
		s.log.Warn("could not make the page of metrics", "error", err)
		return http.StatusInternalServerError, "text/plain; charset=utf-8", ""
	}
	return http.StatusOK, contentType, page
}

// response is a whole answer (RFC 9112); a head has the length of the body that it stands for.
func response(status int, kind, body string, head bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n", status, http.StatusText(status), kind, len(body))
	if status == http.StatusMethodNotAllowed {
		b.WriteString("Allow: GET, HEAD\r\n")
	}
	b.WriteString("Connection: close\r\n\r\n")
	if !head {
		b.WriteString(body)
	}
	return b.String()
}
