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

	"github.com/hawser-io/hawser/internal/agent/address"
	"github.com/hawser-io/hawser/internal/agent/gateway"
	"github.com/hawser-io/hawser/internal/agent/hostfacts"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/metrics"
	"github.com/hawser-io/hawser/internal/agent/notify"
)

// firstLook is how long the stream waits for the first verdicts on proxy and application, so that a machine which served before its
// agent was restarted is not called unhealthy for a moment. Without a stream it is in rotation for 10 s.
const firstLook = 5 * time.Second

// Run keeps the machine in the mesh until ctx ends, or until the manager has removed the machine and the host is put back.
func Run(ctx context.Context, options Options) error {
	d, err := untilWhole(ctx, options)
	if d == nil {
		return err
	}
	if reason := d.enrollment.Removed; reason != "" {
		d.tell(notify.Ready)
		return d.withdraw(context.WithoutCancel(ctx), reason)
	}
	listener, err := local.Listen(options.Socket)
	if err != nil {
		return err
	}
	// Whoever has the socket is the one agent: until now what looks like a leftover of a crash may be another's work.
	if err := options.Store.Prepare(); err != nil {
		// The disk is full or read-only: what runs goes on, and what cannot be kept is told when it is to be.
		options.Log.Warn("could not tidy up the agent's state", "error", err)
	}
	mend(options)
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
	applier := &applier{machine: d.machine, mailbox: d.mailbox, board: d.board, store: o.Store, drift: o.Drift, looked: d.lookedHost, log: o.Log}
	if state := d.mailbox.want(); state != nil {
		applier.kept, applier.begun = state.GetGeneration(), o.Store.Begun()
	}
	proxy := &proxyWatch{board: d.board, host: d.hostLooked, readiness: o.Readiness, looked: d.lookedProxy, lost: d.mailbox.wake, back: d.back}
	for name, part := range map[string]func() error{
		"apply":       func() error { return applier.run(ctx) },
		"drift":       func() error { return o.Drift.Run(ctx) },
		"proxy":       func() error { return proxy.run(ctx) },
		"application": func() error { return watchApplication(ctx, d.mailbox, d.probeChanged, d.tellApplication) },
		"addresses": func() error {
			own := addresses{list: address.NewLister(d.enrollment.Manager).List, watch: address.Watch}
			return watchAddresses(ctx, own, d.board, d.mailbox.wake, o.Log)
		},
		"hostname": func() error { return watchHostname(ctx, hostfacts.Hostname, hostfacts.WatchHostname, d.board) },
		"gateway": func() error {
			return gateway.NewWatch(d.mailbox.meshGateways, d.gatewaysChanged, o.Connections, o.Detour, o.Log).Run(ctx)
		},
		"certificate": func() error { return watchProxyCertificate(ctx, d.board, o.ProxyCertificate) },
		"renewal":     func() error { return d.renewer.Run(ctx) },
		"socket":      func() error { return local.NewServer(d, o.Log).Serve(ctx, listener) },
		"stream":      func() error { return d.hold(ctx) },
		"metrics": func() error {
			page := func() (string, error) {
				process, err := metrics.Self(d.started)
				return metrics.Page(d.Status(), process), err
			}
			return metrics.NewServer(o.MetricsAddress, page, o.Log).Run(ctx)
		},
		"memory": func() error {
			changed, stop := d.board.Watch()
			defer stop()
			return trimWhenQuiet(ctx, changed, func() { giveBack(o.Log) })
		},
		"watchdog": func() error {
			return o.Notify.Watchdog(ctx, o.Watchdog, func() { d.board.Facts() })
		},
	} {
		group.Go(func() error { return guard(ctx, name, part, o.Log) })
	}
}

// guard names a part's error, and turns into one its panic, and its end before ctx: the others then get to stop, and systemd starts
// the agent again, instead of one that does half of its work.
func guard(ctx context.Context, name string, part func() error, log *slog.Logger) (err error) {
	defer func() {
		if r := recover(); r != nil {
			log.Error("a part of the agent panicked", "part", name, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("%s: panic: %v", name, r)
		}
	}()
	err = part()
	switch {
	case err == nil && ctx.Err() == nil:
		return fmt.Errorf("%s: it ended by itself", name)
	case err == nil, ctx.Err() != nil && errors.Is(err, context.Canceled):
		return nil
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
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
