package dial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// stagger is how long an address gets before the next one is tried beside it (RFC 8305 recommends 250 ms).
const stagger = 250 * time.Millisecond

// candidates returns the addresses to try, in order and without repetition: those that the manager's name resolves to, then the known
// ones, turned by turn, so that one which accepts connections and then fails is not tried first for ever.
func candidates(resolved, known []string, turn int) []string {
	var list []string
	for _, address := range slices.Concat(resolved, known) {
		if !slices.Contains(list, address) {
			list = append(list, address)
		}
	}
	if len(list) == 0 {
		return nil
	}
	turn %= len(list)
	return slices.Concat(list[turn:], list[:turn])
}

// connector makes one TCP connection.
type connector func(ctx context.Context, address string) (net.Conn, error)

// race connects to the addresses one after the other, without waiting long for one to fail, and returns the first connection.
func race(ctx context.Context, connect connector, addresses []string) (net.Conn, error) {
	if len(addresses) == 0 {
		return nil, errors.New("no address to connect to")
	}
	ctx, cancel := context.WithCancel(ctx)
	type outcome struct {
		connection net.Conn
		err        error
	}
	outcomes := make(chan outcome, len(addresses))
	var running sync.WaitGroup
	// Losers are closed before race returns: after cancel they end at once.
	defer func() {
		cancel()
		running.Wait()
		close(outcomes)
		for late := range outcomes {
			if late.connection != nil {
				_ = late.connection.Close()
			}
		}
	}()
	next, pending, failures := 0, 0, []error{}
	launch := func() {
		address := addresses[next]
		next, pending = next+1, pending+1
		running.Go(func() {
			connection, err := connect(ctx, address)
			outcomes <- outcome{connection, err}
		})
	}
	launch()
	timer := time.NewTicker(stagger)
	defer timer.Stop()
	for {
		select {
		case done := <-outcomes:
			pending--
			if done.err == nil {
				return done.connection, nil
			}
			failures = append(failures, done.err)
			if next < len(addresses) {
				launch()
			} else if pending == 0 {
				return nil, fmt.Errorf("no address answers: %w", errors.Join(failures...))
			}
		case <-timer.C:
			if next < len(addresses) {
				launch()
			}
		}
	}
}
