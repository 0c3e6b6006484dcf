package local

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Agent is what the socket shows.
type Agent interface {
	Status() Status
	// Watch returns a channel that receives when the status may differ, and a function that ends that.
	Watch() (changed <-chan struct{}, stop func())
	// Drain takes the machine out of rotation and returns when its callers are served, or why they could not be turned away. With proxy it is
	// back in rotation when the proxy, which is about to stop, is ready again.
	Drain(ctx context.Context, proxy bool) error
}

// patience with a client that neither asks nor reads.
const patience = 10 * time.Second

// Server answers on one socket.
type Server struct {
	agent Agent
	log   *slog.Logger
}

// NewServer returns a server for agent.
func NewServer(agent Agent, log *slog.Logger) *Server { return &Server{agent: agent, log: log} }

// Listen makes the socket, for its owner alone. A socket that a crash left behind is replaced; one that an agent holds is not, also if
// that one hangs.
func Listen(path string) (*net.UnixListener, error) {
	connection, err := net.Dial("unix", path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("see whether another agent runs on %s: %w; `systemctl status hawser-agent` tells", path, err)
	default:
		return nil, errors.Join(fmt.Errorf("another agent runs on %s: see `systemctl status hawser-agent`", path), connection.Close())
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the socket of a former agent: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for status requests: %w", err)
	}
	// Until here others may have connected: accept asks the kernel who they are.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("restrict the agent's socket: %w", err), listener.Close())
	}
	return listener, nil
}

// Serve answers until ctx ends, then closes the listener and waits for the clients' goroutines.
func (s *Server) Serve(ctx context.Context, listener *net.UnixListener) error {
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	group.Go(func() error {
		for {
			connection, err := listener.AcceptUnix()
			switch {
			case err == nil && ctx.Err() != nil:
				// It came in the last moment: nobody would ever answer it.
				return connection.Close()
			case ctx.Err() != nil:
				return nil
			case err != nil:
				return fmt.Errorf("accept on the agent's socket: %w", err)
			}
			group.Go(func() error {
				s.serve(ctx, connection)
				return nil
			})
		}
	})
	return group.Wait()
}

func (s *Server) serve(ctx context.Context, connection *net.UnixConn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer func() {
		if stop() {
			_ = connection.Close()
		}
	}()
	if err := s.answer(ctx, cancel, connection); err != nil && ctx.Err() == nil {
		s.log.Debug("a client of the agent's socket was not served", "error", err)
	}
}

func (s *Server) answer(ctx context.Context, hangUp func(), connection *net.UnixConn) error {
	if err := ownUser(connection); err != nil {
		return err
	}
	return s.handle(ctx, hangUp, connection)
}

// handle answers the one request of a client that may ask.
func (s *Server) handle(ctx context.Context, hangUp func(), connection net.Conn) error {
	if err := connection.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	line, err := bufio.NewReader(io.LimitReader(connection, 4096)).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read a request: %w", err)
	}
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return reply(connection, response{Error: "not a request: " + err.Error()})
	}
	switch asked.Command {
	case commandStatus:
		return s.replyStatus(connection)
	case commandWatch:
		return s.replyWatch(ctx, hangUp, connection)
	case commandDrain, commandDrainProxy:
		return s.replyDrain(ctx, hangUp, connection, asked.Command == commandDrainProxy)
	default:
		return reply(connection, response{Error: fmt.Sprintf("this agent does not know the command %q", asked.Command)})
	}
}

func (s *Server) replyDrain(ctx context.Context, hangUp func(), connection net.Conn, proxy bool) error {
	// Clients that have given up are not waited for.
	heed, err := heedHangUp(connection, hangUp)
	if err != nil {
		return err
	}
	defer heed()
	if err := s.agent.Drain(ctx, proxy); err != nil {
		return reply(connection, response{Error: err.Error()})
	}
	return s.replyStatus(connection)
}

func (s *Server) replyStatus(connection net.Conn) error {
	status := s.agent.Status()
	return reply(connection, response{Status: &status})
}

// heedHangUp has hangUp called when the client closes its end, until the returned function is, which hangs up itself.
func heedHangUp(connection net.Conn, hangUp func()) (end func(), err error) {
	if err := connection.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		// A client that waits says nothing more: whatever this read returns means that it hung up.
		_, _ = connection.Read(make([]byte, 1))
		hangUp()
	}()
	return func() {
		hangUp()
		<-gone
	}, nil
}

func (s *Server) replyWatch(ctx context.Context, hangUp func(), connection net.Conn) error {
	heed, err := heedHangUp(connection, hangUp)
	if err != nil {
		return err
	}
	defer heed()
	changed, stop := s.agent.Watch()
	defer stop()
	for {
		if err := s.replyStatus(connection); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

func reply(connection net.Conn, answer response) error {
	line, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	if err := connection.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = connection.Write(append(line, '\n'))
	return err
}

// ownUser refuses clients of another user than the agent's, which is root.
func ownUser(connection *net.UnixConn) error {
	raw, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	var credentials *unix.Ucred
	var failed error
	if err := raw.Control(func(descriptor uintptr) {
		credentials, failed = unix.GetsockoptUcred(int(descriptor), syscall.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	if int(credentials.Uid) != os.Geteuid() {
		return fmt.Errorf("a client with uid %d was refused", credentials.Uid)
	}
	return nil
}
