package publish

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// shake has a client connect to a server whose handshakes share the places.
func shake(t *testing.T, places handshakes) error {
	t.Helper()
	ours, theirs := net.Pipe()
	defer func() { _ = errors.Join(ours.Close(), theirs.Close()) }()
	done := make(chan error, 1)
	go func() {
		done <- tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context())
	}()
	server := tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}, GetConfigForClient: places.enter, SessionTicketsDisabled: true})
	return errors.Join(server.HandshakeContext(t.Context()), <-done)
}

func testCertificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{certificate}, PrivateKey: key}
}

func TestHandshakesLeaveTheirPlaces(t *testing.T) {
	places := make(handshakes, 1)
	for range 3 {
		if err := shake(t, places); err != nil {
			t.Fatal(err)
		}
	}
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
