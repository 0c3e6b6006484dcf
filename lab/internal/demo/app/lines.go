package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// lineTimeout ends a connection that says nothing.
const lineTimeout = 5 * time.Minute

// serveLines answers each line of each connection with the host's name, until the context ends.
func serveLines(ctx context.Context, listener net.Listener, host string) error {
	var connections sync.WaitGroup
	defer connections.Wait()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("serve lines: %w", err)
		case err != nil:
			continue // the client was faster to leave than we to greet it
		}
		connections.Go(func() { answerLines(ctx, conn, host) })
	}
}

func answerLines(ctx context.Context, conn net.Conn, host string) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	defer conn.Close()
	lines := bufio.NewScanner(conn)
	for {
		if err := conn.SetDeadline(time.Now().Add(lineTimeout)); err != nil || !lines.Scan() {
			return
		}
		if _, err := fmt.Fprintln(conn, host); err != nil {
			return
		}
	}
}
