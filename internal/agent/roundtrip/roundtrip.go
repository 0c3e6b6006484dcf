// Package roundtrip makes single HTTP/1.1 requests and reads their answers: what a probe is. In comes a request, out come status,
// headers and the beginning of the body. It follows no redirect, asks no web proxy and verifies no certificate.
//
// It must not grow into a client: net/http has one. That client pools connections with goroutines for each, speaks HTTP/2 and
// follows the environment, and an agent that probes every second of its life pays for all of it in processor time and memory.
// Writing and parsing are net/http's here too.
package roundtrip

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// bufferSize holds the status line and headers of an ordinary answer.
const bufferSize = 1 << 10

// Answer is what came back.
type Answer struct {
	// Code is 200, Status "200 OK".
	Code   int
	Status string
	Header http.Header
	// Body is its beginning, empty if it could not be read: the status stands.
	Body []byte
}

// Do sends request, which has no body, over a connection of its own, and reads at most limit bytes of the answer's body. It ends
// when the request's context does.
func Do(request *http.Request, limit int64) (*Answer, error) {
	connection, err := connect(request.Context(), request)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	closing := request.Clone(request.Context())
	closing.Close = true
	answer, _, err := exchange(connection, bufio.NewReaderSize(connection, bufferSize), closing, limit)
	return answer, err
}

func connect(ctx context.Context, request *http.Request) (net.Conn, error) {
	host, port, encrypted := request.URL.Hostname(), request.URL.Port(), request.URL.Scheme == "https"
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[encrypted]
	}
	// A connection of a moment needs no keep-alives.
	dialer := net.Dialer{KeepAlive: -1}
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil || !encrypted {
		return raw, err
	}
	secured := tls.Client(raw, &tls.Config{ServerName: host, InsecureSkipVerify: true})
	if err := secured.HandshakeContext(ctx); err != nil {
		// The failed handshake is what matters.
		_ = raw.Close()
		return nil, fmt.Errorf("%s %s: %w", request.Method, request.URL, err)
	}
	return secured, nil
}

// exchange returns whether another request may follow on the connection.
func exchange(connection net.Conn, reader *bufio.Reader, request *http.Request, limit int64) (*Answer, bool, error) {
	ctx := request.Context()
	stop := context.AfterFunc(ctx, func() {
		// Whatever the connection is waiting for ends now.
		_ = connection.SetDeadline(time.Unix(1, 0))
	})
	answer, whole, err := converse(connection, reader, request, limit)
	whole = stop() && whole
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, false, fmt.Errorf("%s %s: %w", request.Method, request.URL, err)
	}
	return answer, whole, nil
}

func converse(connection net.Conn, reader *bufio.Reader, request *http.Request, limit int64) (*Answer, bool, error) {
	var text bytes.Buffer
	if err := request.Write(&text); err != nil {
		return nil, false, err
	}
	if _, err := connection.Write(text.Bytes()); err != nil {
		return nil, false, err
	}
	response, err := http.ReadResponse(reader, request)
	for err == nil && response.StatusCode < http.StatusOK && response.StatusCode != http.StatusSwitchingProtocols {
		// Interim answers (RFC 9110, 15.2) come before the real one.
		response, err = http.ReadResponse(reader, request)
	}
	if err != nil {
		return nil, false, err
	}
	// One byte more tells whether this was all.
	body, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err != nil {
		body = nil
	}
	answer := &Answer{Code: response.StatusCode, Status: response.Status, Header: response.Header, Body: body[:min(limit, int64(len(body)))]}
	return answer, err == nil && int64(len(body)) <= limit && !response.Close && response.StatusCode >= http.StatusOK, nil
}
