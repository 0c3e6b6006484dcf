package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
)

// ErrNotRunning is returned when no agent answers on the socket.
var ErrNotRunning = errors.New("the agent is not running")

// Client asks the agent that listens on a socket.
type Client struct{ path string }

// NewClient returns a client for the socket at path.
func NewClient(path string) Client { return Client{path} }

// Status returns the agent's status, ErrNotRunning if there is no agent.
func (c Client) Status(ctx context.Context) (Status, error) {
	return c.one(ctx, commandStatus)
}

// Drain takes the machine out of rotation and returns when its callers are served. How long that may take is for ctx to say.
func (c Client) Drain(ctx context.Context) error {
	return c.ask(ctx, commandDrain, func(Status) bool { return false })
}

// DrainProxy is Drain for a proxy that is about to stop: once it has and is ready again, the machine is back in rotation.
func (c Client) DrainProxy(ctx context.Context) error {
	return c.ask(ctx, commandDrainProxy, func(Status) bool { return false })
}

// Watch calls see with the status now and after each change, until ctx ends, see returns false, or the agent stops; the
// latter is an error.
func (c Client) Watch(ctx context.Context, see func(Status) bool) error {
	return c.ask(ctx, commandWatch, see)
}

func (c Client) one(ctx context.Context, command string) (found Status, err error) {
	limited, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	err = c.ask(limited, command, func(status Status) bool {
		found = status
		return false
	})
	if limited.Err() != nil && ctx.Err() == nil {
		return found, fmt.Errorf("the agent does not answer: %w", errHangs)
	}
	return found, err
}

// errHangs: systemd's watchdog finds that out as well, and starts the agent again.
var errHangs = errors.New("it hangs, `systemctl restart hawser-agent` starts it again")

func (c Client) ask(ctx context.Context, command string, see func(Status) bool) error {
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "unix", c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return ErrNotRunning
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("the agent takes no more requests: %w", errHangs)
	case errors.Is(err, fs.ErrPermission):
		return errors.New("the agent talks to root only: run this command with sudo")
	case err != nil:
		return fmt.Errorf("reach the agent: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer func() {
		if stop() {
			_ = connection.Close()
		}
	}()
	if err := json.NewEncoder(connection).Encode(request{command}); err != nil {
		return fmt.Errorf("ask the agent: %w", err)
	}
	decoder := json.NewDecoder(connection)
	for {
		var answer response
		err := decoder.Decode(&answer)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
			return ErrNotRunning
		case err != nil:
			return fmt.Errorf("read the agent's answer: %w", err)
		case answer.Error != "":
			return errors.New(answer.Error)
		case answer.Status != nil && !see(*answer.Status):
			return nil
		}
	}
}
