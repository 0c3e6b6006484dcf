package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/agent/leave"
	"github.com/hawser-io/hawser/internal/agent/notify"
)

// farewellTimeout of the call by which a removed machine leaves.
const farewellTimeout = 10 * time.Second

// stop ends the parts, and only then puts the host back if the machine was removed: no part may work on the host then. An agent that stops does
// not take its machine out of rotation: its proxy goes on, and the manager waits for a while before it holds the silence against the machine.
// Before the host goes down, hawser-drain.service has.
func (d *daemon) stop(ctx context.Context, group *errgroup.Group, end func(), removed bool, reason string) error {
	if !removed {
		// Whoever says so has TimeoutStopSec left, and putting a host back takes as long as its proxy drains.
		d.tell(notify.Stopping)
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

// withdraw puts the host back and tells the manager so, which lets the machine's object go then. That it is to be is kept first: an agent that is
// started again after a failure goes on with it.
func (d *daemon) withdraw(ctx context.Context, reason string) error {
	defer d.stayAlive(ctx)()
	d.options.Log.Warn("the manager has removed this machine: putting the host back", "reason", reason)
	d.enrollment.Removed = reason
	if err := d.options.Store.KeepEnrollment(d.enrollment); err != nil {
		return err
	}
	if err := d.machine.Restore(ctx); err != nil {
		return fmt.Errorf("put the host back after the machine was removed: %w; run `hawser-agent leave`", err)
	}
	d.farewell(ctx)
	if err := d.options.Store.Forget(); err != nil {
		return err
	}
	return d.options.Service.Retire(ctx)
}

// farewell tells the manager that the host is out. It is not worth failing for: the manager does not wait for long.
func (d *daemon) farewell(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, farewellTimeout)
	defer cancel()
	identity, err := d.options.Store.Identity()
	if err == nil {
		err = leave.RealManager{Known: d.gateways}.Leave(limited, identity)
	}
	if err != nil {
		d.options.Log.Warn("the manager could not be told that the host has left", "error", err)
	}
}

// stayAlive answers systemd's watchdog, whose part has ended, until the returned function is called.
func (d *daemon) stayAlive(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var answering sync.WaitGroup
	answering.Go(func() {
		if err := d.options.Notify.Watchdog(ctx, d.options.Watchdog, func() {}); err != nil {
			d.options.Log.Warn("could not tell systemd", "error", err)
		}
	})
	return func() {
		cancel()
		answering.Wait()
	}
}

// tell tells systemd; it is not worth failing for.
func (d *daemon) tell(state string) {
	if err := d.options.Notify.Send(state); err != nil {
		d.options.Log.Warn("could not tell systemd", "error", err)
	}
}
