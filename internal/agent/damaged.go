package agent

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/notify"
	"github.com/hawser-io/hawser/internal/agent/report"
	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/version"
)

// mend repairs the files of the identity and tells which were damaged. What it cannot write now is mended at the next start; until then the
// whole copy is read.
func mend(options Options) {
	mended, err := options.Store.Mend()
	if len(mended) > 0 {
		options.Log.Warn("mended damaged files of the machine's identity by their copies", "files", mended)
	}
	if err != nil {
		options.Log.Warn("could not mend the files of the machine's identity", "error", err)
	}
}

// rereadPeriod is how often an agent without an identity looks whether somebody has put the files back, as from a backup.
const rereadPeriod = 2 * time.Second

// untilWhole returns the daemon once the machine's identity can be read. While it is lost the agent stays up and says so, on its socket and
// to systemd: an agent that ended would be started again each second, as nothing tells systemd that this does not help, and one that systemd
// lets lie could not answer `hawser-agent status`. The proxy is a unit of its own and goes on with the certificate that it has. It returns nil
// when ctx ends.
func untilWhole(ctx context.Context, options Options) (*daemon, error) {
	d, err := open(options)
	lost := (*store.Damaged)(nil)
	if !errors.As(err, &lost) {
		return d, err
	}
	options.Log.Error("the agent has nothing to prove itself with and waits", "error", lost)
	listener, err := local.Listen(options.Socket)
	if err != nil {
		return nil, err
	}
	for _, state := range []string{notify.Ready, "STATUS=" + lost.Error()} {
		if err := options.Notify.Send(state); err != nil {
			options.Log.Warn("could not tell systemd", "error", err)
		}
	}
	waiting, end := context.WithCancel(ctx)
	defer end()
	group, waiting := errgroup.WithContext(waiting)
	agent := &unable{lost: lost, since: time.Now()}
	agent.enrollment, _ = options.Store.Enrollment()
	group.Go(func() error { return local.NewServer(agent, options.Log).Serve(waiting, listener) })
	group.Go(func() error { return options.Notify.Watchdog(waiting, options.Watchdog, func() {}) })
	group.Go(func() error {
		defer end()
		d, err = reread(waiting, options)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if d != nil {
		options.Log.Info("the machine's identity is back")
	}
	return d, nil
}

// reread opens until it can, or ctx ends.
func reread(ctx context.Context, options Options) (*daemon, error) {
	ticker := time.NewTicker(rereadPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-ticker.C:
		}
		d, err := open(options)
		if lost := (*store.Damaged)(nil); !errors.As(err, &lost) {
			return d, err
		}
	}
}

// unable is an agent that has lost the machine's identity.
type unable struct {
	// enrollment as far as it can be read.
	enrollment store.Enrollment
	lost       *store.Damaged
	since      time.Time
}

var _ local.Agent = (*unable)(nil)

// Status says what is lost, and the one command that helps.
func (u *unable) Status() local.Status {
	e, message := u.enrollment, u.lost.Error()
	return local.Status{
		Agent: version.Get().Version, Started: u.since.UTC(), Manager: e.Manager,
		Machine:         local.Machine{Namespace: e.Namespace, Name: e.Name, Group: e.Group, UID: e.UID},
		Facts:           report.Facts{Connection: report.Connection{Since: u.since, Error: message}},
		UnhealthyReason: "the agent has lost the machine's identity",
		Conditions: []local.Condition{{
			Type: report.IdentityValid, Status: "False", Reason: reasonStateDamaged, Message: message, LastTransition: u.since.UTC(),
		}},
	}
}

// reasonStateDamaged is IdentityValid's when a file of the identity and its copy are both lost.
const reasonStateDamaged = "StateDamaged"

// Watch never has news.
func (u *unable) Watch() (<-chan struct{}, func()) { return make(chan struct{}), func() {} }

// Drain has nobody to tell.
func (u *unable) Drain(context.Context, bool) error { return u.lost }
