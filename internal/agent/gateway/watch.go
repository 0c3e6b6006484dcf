package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/socket"
)

const (
	// lookEvery is how often the kernel is asked whether packets went unanswered. It is one small file, and no packet.
	lookEvery = 500 * time.Millisecond
	// endEvery is the same while the proxy tries a silent gateway: it waits no longer.
	endEvery = 250 * time.Millisecond
	// askAgain is how often, at most, gateways are asked whether they answer.
	askAgain = 2 * time.Second
	// answerTime is how long a gateway gets to accept a connection. It is a suspect already.
	answerTime = 500 * time.Millisecond
	// leadAgain is how often a detour is set anew, which ends by itself.
	leadAgain = 20 * time.Second
)

// Connections are the proxy's. To list them takes the kernel a millisecond on a large host; Timeouts, how often something of any connection had to be sent
// again, is cheap.
type Connections interface {
	List() ([]socket.Connection, error)
	End(socket.Connection) error
	Timeouts() (int64, error)
}

// Detour leads the proxy's new connections to some addresses to another one; detour.Detour does.
type Detour interface {
	Set(ctx context.Context, from []netip.Addr, to netip.Addr) error
	Clear(ctx context.Context) error
}

// Gateways returns the addresses of the mesh's gateway and a port of it that the agent reaches past the proxy, as they are now.
type Gateways func() (addresses []netip.Addr, port uint16)

// Watch watches the gateways of one host.
type Watch struct {
	gateways    Gateways
	changed     <-chan struct{}
	connections Connections
	detour      Detour
	// connect makes a connection and closes it.
	connect func(ctx context.Context, address string) error
	log     *slog.Logger

	past past
	// timeouts that there were at the last look.
	timeouts int64
	// silent are those that did not answer when they were asked last, other is the gateway that did; asked is when that was.
	silent []netip.Addr
	other  netip.Addr
	asked  time.Time
	// led is when the detour was set; leads: it could be.
	led   time.Time
	leads bool
}

// NewWatch returns a Watch that watches once it runs. changed receives when there may be other gateways.
func NewWatch(gateways Gateways, changed <-chan struct{}, connections Connections, detour Detour, log *slog.Logger) *Watch {
	return &Watch{
		gateways: gateways, changed: changed, connections: connections, detour: detour, connect: connect, log: log,
		past: past{until: map[netip.Addr]time.Time{}},
	}
}

// Run watches until ctx ends. A kernel that cannot end connections is not asked again.
func (w *Watch) Run(ctx context.Context) error {
	// An agent that was killed may have left one.
	w.clear(ctx)
	defer w.clear(context.WithoutCancel(ctx))
	for {
		pause := lookEvery
		err := w.look(ctx)
		if errors.Is(err, socket.ErrNotEnded) {
			w.log.Warn("connections to a silent gateway end when the kernel gives them up", "error", err)
			<-ctx.Done()
			return nil
		}
		if err != nil {
			w.log.Debug("could not look at the proxy's connections", "error", err)
		}
		if len(w.silent) > 0 && !w.leads {
			pause = endEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.changed:
		case <-time.After(pause):
		}
	}
}

// look is one look at the connections.
func (w *Watch) look(ctx context.Context) error {
	gateways, port := w.gateways()
	if len(gateways) == 0 || port == 0 {
		return nil
	}
	others := w.past.follow(gateways, time.Now())
	former := w.past.former()
	if len(gateways)+len(former) < 2 {
		w.found(ctx, nil, netip.Addr{})
		return nil
	}
	if !w.stirred() && !others && !w.due() {
		return nil
	}
	connections, err := w.connections.List()
	if err != nil {
		return err
	}
	doubtful := Doubtful(connections, slices.Concat(gateways, former), w.silent)
	if len(doubtful) > 0 && (others || time.Since(w.asked) >= askAgain) {
		answers := w.ask(ctx, slices.Concat(gateways, doubtful), port)
		w.asked = time.Now()
		silent, other := Silent(gateways, doubtful, answers)
		w.found(ctx, silent, other)
	}
	return w.act(ctx, connections)
}

// stirred reports whether something was not answered since the last look, as far as is known.
func (w *Watch) stirred() bool {
	before := w.timeouts
	now, err := w.connections.Timeouts()
	w.timeouts = now
	return err != nil || now != before
}

// due reports whether something is to be done about who is silent without news.
func (w *Watch) due() bool {
	return len(w.silent) > 0 && (!w.leads || time.Since(w.asked) >= askAgain || time.Since(w.led) >= leadAgain)
}

// act keeps the proxy away from who is silent. A connection that is led to another gateway looks as if it went to the silent one: when there is a detour
// all that were there before it end, and later those that were begun at that very moment, and are not answered.
func (w *Watch) act(ctx context.Context, connections []socket.Connection) error {
	if len(w.silent) == 0 {
		return nil
	}
	first := w.led.IsZero()
	if time.Since(w.led) >= leadAgain {
		w.lead(ctx)
	}
	switch {
	case first:
		// Others were begun meanwhile.
		var err error
		if connections, err = w.connections.List(); err != nil {
			return err
		}
	case w.leads:
		connections = slices.DeleteFunc(connections, func(c socket.Connection) bool { return !unanswered(c) })
	}
	return w.end(connections)
}

// ask finds out who answers.
func (w *Watch) ask(ctx context.Context, addresses []netip.Addr, port uint16) map[netip.Addr]bool {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	answers := map[netip.Addr]bool{}
	var mutex sync.Mutex
	var asking sync.WaitGroup
	for _, address := range unique(addresses) {
		asking.Go(func() {
			err := w.connect(ctx, net.JoinHostPort(address.String(), strconv.Itoa(int(port))))
			mutex.Lock()
			defer mutex.Unlock()
			// Who refuses is there, and has ended its connections itself.
			answers[address] = err == nil || errors.Is(err, syscall.ECONNREFUSED)
		})
	}
	asking.Wait()
	return answers
}

// found takes who is silent.
func (w *Watch) found(ctx context.Context, silent []netip.Addr, other netip.Addr) {
	if slices.Equal(silent, w.silent) && other == w.other {
		return
	}
	was := len(w.silent) > 0
	w.silent, w.other, w.led = silent, other, time.Time{}
	switch {
	case len(silent) > 0:
		w.log.Warn("a gateway is silent while another one answers: the proxy goes there instead", "silent", silent, "other", other)
	case was:
		w.log.Info("the proxy goes to the gateways again that the cluster tells")
		w.clear(ctx)
	}
}

// lead has new connections go to the gateway that answers. Where that cannot be, they are ended as fast as they are made, and the proxy tries another.
func (w *Watch) lead(ctx context.Context) {
	w.led = time.Now()
	err := w.detour.Set(ctx, w.silent, w.other)
	if w.leads = err == nil; !w.leads {
		w.log.Warn("the proxy tries the silent gateway until the cluster takes its address back", "error", err)
	}
}

func (w *Watch) clear(ctx context.Context) {
	if err := w.detour.Clear(ctx); err != nil {
		w.log.Warn("a detour around a gateway ends by itself only", "error", err)
	}
}

func (w *Watch) end(connections []socket.Connection) error {
	for _, connection := range connections {
		if !slices.Contains(w.silent, connection.Remote.Addr()) {
			continue
		}
		if err := w.connections.End(connection); err != nil {
			return err
		}
	}
	return nil
}

func connect(ctx context.Context, address string) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return connection.Close()
}
