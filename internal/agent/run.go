package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/notify"
	"github.com/hawser-io/hawser/internal/agent/renew"
)

const (
	// firstLook is how long the stream waits for the first verdicts on proxy and application, so that a machine which served
	// before its agent was restarted is not called unhealthy for a moment.
	firstLook = 1500 * time.Millisecond
	// drainTimeout is how long the manager may take to hear that the machine goes down, drainPause how long callers then get
	// to turn elsewhere before the proxy is stopped.
	drainTimeout = 3 * time.Second
	drainPause   = time.Second
)

// Run keeps the machine in the mesh until ctx ends, or until the manager has removed the machine and the host is put back.
func Run(ctx context.Context, options Options) error {
	d, err := open(options)
	if err != nil {
		return err
	}
	if reason := d.enrollment.Removed; reason != "" {
		return d.withdraw(context.WithoutCancel(ctx), reason)
	}
	listener, err := local.Listen(options.Socket)
	if err != nil {
		return err
	}
	// The parts outlive ctx by the time that it takes to say goodbye.
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	group, work := errgroup.WithContext(work)
	d.start(work, group, listener)
	d.tell(notify.Ready)

	removed, reason := false, ""
	select {
	case <-ctx.Done():
	case <-work.Done():
	case reason = <-d.removed:
		removed = true
	}
	return d.stop(context.WithoutCancel(ctx), group, end, removed, reason)
}

// start starts the parts. What looks at the host comes first, as it has something to say by the time that the stream opens;
// none waits for another one, and each ends with ctx.
func (d *daemon) start(ctx context.Context, group *errgroup.Group, listener *net.UnixListener) {
	o := d.options
	applier := &applier{machine: d.machine, mailbox: d.mailbox, board: d.board, store: o.Store, log: o.Log}
	if state := d.mailbox.want(); state != nil {
		applier.kept = state.GetGeneration()
	}
	renewer := renew.New(o.Store, renew.NewManager(d.dialer), d.renewed, o.Log)
	for name, part := range map[string]func() error{
		"apply":       func() error { return applier.run(ctx) },
		"proxy":       func() error { return watchProxy(ctx, d.board, o.Readiness, d.lookedProxy) },
		"application": func() error { return watchApplication(ctx, d.mailbox, d.probeChanged, d.board, d.lookedApplication) },
		"addresses":   func() error { return watchAddresses(ctx, d.enrollment.Manager, d.board, d.mailbox.wake, o.Log) },
		"certificate": func() error { return watchProxyCertificate(ctx, d.board, o.ProxyCertificate) },
		"renewal":     func() error { return renewer.Run(ctx) },
		"socket":      func() error { return local.NewServer(d, o.Log).Serve(ctx, listener) },
		"stream":      func() error { return d.hold(ctx) },
		"memory": func() error {
			changed, stop := d.board.Watch()
			defer stop()
			return trimWhenQuiet(ctx, changed, debug.FreeOSMemory)
		},
		"watchdog": func() error {
			return o.Notify.Watchdog(ctx, o.Watchdog, func() { d.board.Facts() })
		},
	} {
		group.Go(func() error { return guard(name, part, o.Log) })
	}
}

// guard names a part's error, and turns its panic into one: systemd starts the agent again, and the others get to stop.
func guard(name string, part func() error, log *slog.Logger) (err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("a part of the agent panicked", "part", name, "panic", r)
			err = fmt.Errorf("%s: panic: %v", name, r)
		}
	}()
	if err := part(); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// hold keeps the stream, once the first look at the machine is taken or has taken too long.
func (d *daemon) hold(ctx context.Context) error {
	if d.mailbox.want() != nil {
		limit := time.After(firstLook)
		for _, looked := range []chan struct{}{d.proxyLooked, d.applicationLooked} {
			select {
			case <-ctx.Done():
				return nil
			case <-looked:
			case <-limit:
				limit = closed()
			}
		}
	}
	return d.stream.Run(ctx)
}

func closed() <-chan time.Time {
	done := make(chan time.Time)
	close(done)
	return done
}

// stop says goodbye while the stream still stands, ends the parts, and only then puts the host back if the machine was removed:
// no part may work on the host then.
func (d *daemon) stop(ctx context.Context, group *errgroup.Group, end func(), removed bool, reason string) error {
	d.tell(notify.Stopping)
	if !removed && d.options.Service.ShuttingDown(ctx) {
		d.goodbye(ctx)
	}
	end()
	if err := group.Wait(); err != nil {
		return err
	}
	if !removed {
		return nil
	}
	return d.withdraw(ctx, reason)
}

// withdraw puts the host back. That it is to be is kept first: an agent that is started again after a failure goes on with it.
func (d *daemon) withdraw(ctx context.Context, reason string) error {
	d.options.Log.Warn("the manager has removed this machine: putting the host back", "reason", reason)
	d.enrollment.Removed = reason
	if err := d.options.Store.KeepEnrollment(d.enrollment); err != nil {
		return err
	}
	if err := d.machine.Restore(ctx); err != nil {
		return fmt.Errorf("put the host back after the machine was removed: %w; run `hawser-agent leave`", err)
	}
	if err := d.options.Store.Forget(); err != nil {
		return err
	}
	return d.options.Service.Retire(ctx)
}

// goodbye takes the machine out of rotation before its proxy stops. An agent that is only restarted does not: its proxy goes
// on, and the manager waits for a while before it holds the silence against the machine.
func (d *daemon) goodbye(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := d.Drain(limited); err != nil {
		d.options.Log.Warn("the manager could not be told that the machine goes down", "error", err)
		return
	}
	select {
	case <-limited.Done():
	case <-time.After(drainPause):
	}
}

// tell tells systemd; it is not worth failing for.
func (d *daemon) tell(state string) {
	if err := d.options.Notify.Send(state); err != nil {
		d.options.Log.Warn("could not tell systemd", "error", err)
	}
}
