package interception

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/agent/plan"
)

// ErrCutOff is wrapped when the rules were taken away again, since they cut the machine off.
var ErrCutOff = errors.New("the traffic rules were taken away again")

// Reach is what has to be within reach while rules are set.
type Reach struct {
	// Manager makes a new connection to the manager; nil if there is none to reach.
	Manager func(ctx context.Context) error
	// SSH is the ADDRESS:PORT at which a server of SSH listens on this host; empty if none does.
	SSH string
}

const sshTime = 5 * time.Second

// confirmTime is well within the switch's delay.
func (t *Traffic) confirmTime() time.Duration { return t.options.Delay * 3 / 4 }

// Confirm checks that all is within reach and disarms the switch. If not, it takes the rules away at once; the error says what
// was cut off, and wraps ErrCutOff.
func (t *Traffic) Confirm(ctx context.Context, rules plan.Rules, reach Reach) error {
	checked, cancel := context.WithTimeout(ctx, t.confirmTime())
	defer cancel()
	err := t.check(checked, rules, reach)
	if err == nil {
		return t.Disarm(ctx)
	}
	return fmt.Errorf("%w: %w", ErrCutOff, errors.Join(err, t.Remove(context.WithoutCancel(ctx), rules.Backend)))
}

func (t *Traffic) check(ctx context.Context, rules plan.Rules, reach Reach) error {
	if reach.SSH != "" {
		if !rules.SSH {
			return errors.New("they would lead connections to SSH (port 22) through the proxy; exclude port 22 in the MachinePolicy")
		}
		if err := greeted(ctx, reach.SSH); err != nil {
			return fmt.Errorf("SSH at %s is out of reach: %w", reach.SSH, err)
		}
	}
	if reach.Manager == nil {
		return nil
	}
	return t.reachManager(ctx, reach.Manager)
}

// reachManager tries for as long as there is time: a gateway that is moving just now is no reason to give up.
func (t *Traffic) reachManager(ctx context.Context, dial func(context.Context) error) error {
	ticker := time.NewTicker(500 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := dial(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the manager is out of reach: %w", err)
		case <-ticker.C:
		}
	}
}

// greeted connects as a client does and waits for the server's greeting (RFC 4253, section 4.2): a proxy in between would accept
// the connection, too.
func greeted(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: sshTime}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetReadDeadline(time.Now().Add(sshTime)); err != nil {
		return err
	}
	greeting := make([]byte, 255)
	n, err := connection.Read(greeting)
	if err != nil {
		return fmt.Errorf("it does not greet: %w", err)
	}
	if !strings.HasPrefix(string(greeting[:n]), "SSH-") {
		return errors.New("something else answers there")
	}
	return nil
}
