package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"time"
)

// Bounds of handshakes. Each takes some milliseconds of a processor. When thousands of agents come at once, all of their handshakes together would
// take longer than any agent waits, and none would come to its end; streams that stand would miss their pings meanwhile. So a few are worked on at a
// time, in the order that they came in. Those that wait for longer than their agents would are sent away.
const (
	handshakesAtOnce  = 64
	handshakePatience = 15 * time.Second
	// handshakeTurn is how long a handshake keeps others waiting: its client may never answer.
	handshakeTurn = 250 * time.Millisecond
)

// handshakes are the places of those that are worked on.
type handshakes chan struct{}

var errTooManyHandshakes = errors.New("too many hosts connect at the same time")

// enter is a tls.Config's GetConfigForClient, and changes nothing about the config: it is called when the client has said hello, so that clients which
// say nothing have no place.
func (h handshakes) enter(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	return nil, h.take(hello.Context())
}

// take waits for a place, which the handshake has until ctx ends with it, or its turn does.
func (h handshakes) take(ctx context.Context) error {
	patience := time.NewTimer(handshakePatience)
	defer patience.Stop()
	select {
	case h <- struct{}{}:
	case <-patience.C:
		return errTooManyHandshakes
	case <-ctx.Done():
		return ctx.Err()
	}
	leave := sync.OnceFunc(func() { <-h })
	turn := time.AfterFunc(handshakeTurn, leave)
	context.AfterFunc(ctx, func() {
		turn.Stop()
		leave()
	})
	return nil
}
