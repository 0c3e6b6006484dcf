package roundtrip

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// ErrEnded says that the other end gave up a connection that was to be kept.
var ErrEnded = errors.New("the connection was ended by its other end")

// Kept makes requests one after the other over a connection that it keeps in between. The zero value is ready. It is for one
// goroutine.
type Kept struct {
	connection net.Conn
	reader     *bufio.Reader
	// host is HOST:PORT of the other end.
	host string
}

// Do is Do over the kept connection if it leads to the same host. One that broke meanwhile is replaced.
func (k *Kept) Do(request *http.Request, limit int64) (*Answer, error) {
	if k.connection != nil && k.host == request.URL.Host {
		answer, err := k.exchange(request, limit)
		if err == nil || request.Context().Err() != nil {
			return answer, err
		}
	}
	// What is to be closed is of no use any more, and neither is why it cannot be.
	_ = k.Close()
	connection, err := connect(request.Context(), request)
	if err != nil {
		return nil, err
	}
	k.connection, k.reader, k.host = connection, bufio.NewReaderSize(connection, bufferSize), request.URL.Host
	return k.exchange(request, limit)
}

func (k *Kept) exchange(request *http.Request, limit int64) (*Answer, error) {
	answer, reusable, err := exchange(k.connection, k.reader, request, limit)
	if !reusable {
		err = errors.Join(err, k.Close())
	}
	return answer, err
}

// Wait returns nil at the time given, or with ctx, and ErrEnded as soon as the other end gives up the kept connection: a server that
// dies is known to be gone at once, between two requests.
func (k *Kept) Wait(ctx context.Context, until time.Time) error {
	if k.connection == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(until)):
		}
		return nil
	}
	// The deadline is what wakes, in place of a timer and a goroutine that reads. One that cannot be set fails the read as well.
	_ = k.connection.SetReadDeadline(until)
	stop := context.AfterFunc(ctx, func() { _ = k.connection.SetReadDeadline(time.Unix(1, 0)) })
	_, err := k.reader.Peek(1)
	if stopped := stop(); !stopped || errors.Is(err, os.ErrDeadlineExceeded) {
		if stopped {
			_ = k.connection.SetReadDeadline(time.Time{})
		}
		return nil
	}
	// It ended, or spoke without having been asked.
	return errors.Join(ErrEnded, k.Close())
}

// Close ends the kept connection, if there is one.
func (k *Kept) Close() error {
	if k.connection == nil {
		return nil
	}
	err := k.connection.Close()
	k.connection, k.reader = nil, nil
	return err
}
