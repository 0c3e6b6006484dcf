package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// closeTimeout is how long requests under way may take to end after the service has stopped to take new ones.
const closeTimeout = 5 * time.Second

// newHTTPClient keeps connections: an application's usual behaviour, and what balancing by request has to cope with.
func newHTTPClient() *http.Client {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		MaxIdleConnsPerHost: 32,
		IdleConnTimeout:     30 * time.Second,
	}
	return &http.Client{Transport: transport}
}

// serveHTTP serves until the context ends. Then it calls leave, goes on for the time of drain, so that who still sends
// here is served, and ends when the requests under way have.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, drain time.Duration, leave func()) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	leave()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-time.After(drain):
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := server.Shutdown(closing)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
