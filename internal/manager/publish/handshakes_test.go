package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/manager/ca"
)

// shake has a client connect to a manager whose handshakes share the places.
func shake(t *testing.T, authority *ca.Authority, places handshakes) error {
	t.Helper()
	ours, theirs := net.Pipe()
	defer func() { _ = errors.Join(ours.Close(), theirs.Close()) }()
	config := ca.NewServing(authority).Config()
	config.GetConfigForClient = places.enter
	done := make(chan error, 1)
	go func() {
		done <- tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, NextProtos: config.NextProtos}).HandshakeContext(t.Context())
	}()
	return errors.Join(tls.Server(ours, config).HandshakeContext(t.Context()), <-done)
}

// One that has ended leaves its place at once, and not with the end of its turn.
func TestHandshakesLeaveTheirPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		authority, err := ca.Generate(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		places, began := make(handshakes, 1), time.Now()
		for range 3 {
			if err := shake(t, authority, places); err != nil || time.Since(began) != 0 {
				t.Fatalf("after %s: %v", time.Since(began), err)
			}
		}
	})
}

func TestHandshakesWaitForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		places := make(handshakes, 2)
		first, end := context.WithCancel(t.Context())
		began := time.Now()
		for range 2 {
			if err := places.take(first); err != nil || time.Since(began) != 0 {
				t.Fatalf("one of the first waits for %s: %v", time.Since(began), err)
			}
		}
		end()
		synctest.Wait()
		if err := places.take(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("the third waits for %s although the others have ended: %v", time.Since(began), err)
		}
		if err := places.take(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("the fourth waits for %s: %v", time.Since(began), err)
		}
		if err := places.take(t.Context()); err != nil || time.Since(began) != handshakeTurn {
			t.Errorf("the fifth came in after %s, want the end of a turn: %v", time.Since(began), err)
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		full := make(handshakes)
		if err := full.take(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("one that is gone got %v", err)
		}
		if err := full.take(t.Context()); !errors.Is(err, errTooManyHandshakes) {
			t.Errorf("one that waits for too long got %v", err)
		}
	})
}
