package roundtrip

import (
	"bufio"
	"errors"
	"net"
	"net/http"
)

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

// Close ends the kept connection, if there is one.
func (k *Kept) Close() error {
	if k.connection == nil {
		return nil
	}
	err := k.connection.Close()
	k.connection, k.reader = nil, nil
	return err
}
