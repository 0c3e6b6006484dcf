package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
)

// forwarder accepts connections at an address and leads each to the same port of another one, until it is closed.
type forwarder struct {
	to  netip.Addr
	log *slog.Logger

	listeners []net.Listener
	ctx       context.Context
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

func newForwarder(from, to netip.Addr, ports []uint16, log *slog.Logger) (*forwarder, error) {
	f := &forwarder{to: to, log: log}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	for _, port := range ports {
		listener, err := net.Listen("tcp4", netip.AddrPortFrom(from, port).String())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("network: lead %s on to %s: %w", from, to, err), f.close())
		}
		f.listeners = append(f.listeners, listener)
		f.running.Go(func() { f.serve(listener, port) })
	}
	return f, nil
}

func (f *forwarder) serve(listener net.Listener, port uint16) {
	for {
		near, err := listener.Accept()
		if err != nil {
			if f.ctx.Err() == nil {
				f.log.Error("cannot accept connections for a former address", "error", err)
			}
			return
		}
		f.running.Go(func() { f.join(near, port) })
	}
}

// join copies both ways until both sides have ended, one of them fails, or the forwarder is closed.
func (f *forwarder) join(near net.Conn, port uint16) {
	var dialer net.Dialer
	far, err := dialer.DialContext(f.ctx, "tcp4", netip.AddrPortFrom(f.to, port).String())
	if err != nil {
		f.log.Warn("cannot lead a connection on from a former address", "error", err)
		_ = near.Close()
		return
	}
	end := func() { _, _ = near.Close(), far.Close() }
	stop := context.AfterFunc(f.ctx, end)
	defer stop()
	defer end()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			if _, err := io.Copy(way[1], way[0]); err != nil {
				end()
				return
			}
			if half, ok := way[1].(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		})
	}
	both.Wait()
}

func (f *forwarder) close() error {
	f.cancel()
	var errs []error
	for _, listener := range f.listeners {
		errs = append(errs, listener.Close())
	}
	f.running.Wait()
	return errors.Join(errs...)
}
