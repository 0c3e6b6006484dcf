package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/agent/host/socket"
)

var first, second, other = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.3")

func connection(to netip.Addr, connecting bool, unanswered int) socket.Connection {
	return socket.Connection{Remote: netip.AddrPortFrom(to, 15443), Connecting: connecting, Unanswered: unanswered}
}

func TestDoubtful(t *testing.T) {
	for _, c := range []struct {
		name        string
		connections []socket.Connection
		silent      []netip.Addr
		want        []netip.Addr
	}{
		{"all is answered", []socket.Connection{connection(first, false, 0), connection(second, true, 0)}, nil, nil},
		{"one packet was lost", []socket.Connection{connection(first, false, 1)}, nil, nil},
		{"two in a row were", []socket.Connection{connection(first, false, 2), connection(first, false, 3)}, nil, []netip.Addr{first}},
		{"the first packet of a connection was", []socket.Connection{connection(second, true, 1), connection(first, true, 1)}, nil, []netip.Addr{first, second}},
		{"no gateway", []socket.Connection{connection(other, false, 9)}, []netip.Addr{other}, nil},
		{"one that was silent", nil, []netip.Addr{second}, []netip.Addr{second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Doubtful(c.connections, []netip.Addr{first, second}, c.silent); !slices.Equal(got, c.want) {
				t.Errorf("doubtful %v, want %v", got, c.want)
			}
		})
	}
}

func TestSilent(t *testing.T) {
	none := netip.Addr{}
	for _, c := range []struct {
		name     string
		doubtful []netip.Addr
		answers  map[netip.Addr]bool
		want     []netip.Addr
		other    netip.Addr
	}{
		{"nobody was asked", nil, nil, nil, none},
		{"all answer", []netip.Addr{first}, map[netip.Addr]bool{first: true, second: true}, nil, first},
		{"one does not", []netip.Addr{first}, map[netip.Addr]bool{first: false, second: true}, []netip.Addr{first}, second},
		{"a former one does not", []netip.Addr{other}, map[netip.Addr]bool{first: true, second: true, other: false}, []netip.Addr{other}, first},
		{"one does not that the proxy has nothing to do with", []netip.Addr{other}, map[netip.Addr]bool{first: false, second: true, other: true}, nil, second},
		{"none does: the link of the host is cut", []netip.Addr{first}, map[netip.Addr]bool{first: false, second: false}, nil, none},
		{"only a former one does", []netip.Addr{first, other}, map[netip.Addr]bool{first: false, second: false, other: true}, nil, none},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, to := Silent([]netip.Addr{first, second}, c.doubtful, c.answers)
			if !slices.Equal(got, c.want) || to != c.other {
				t.Errorf("silent %v, other %v, want %v, %v", got, to, c.want, c.other)
			}
		})
	}
}

// network is a host between two gateways.
type network struct {
	mutex       sync.Mutex
	connections []socket.Connection
	// dead are those that answer nothing, refusing those that refuse connections.
	dead, refusing []netip.Addr
	ended          []netip.Addr
	// stays: the kernel cannot end connections; plain: the host has no nftables.
	stays, plain bool
	asked        int
	// timeouts of all connections; lists counts how often these were listed.
	timeouts int64
	lists    int
	// led are the detours, in the order that they were set; empty when they were cleared.
	led []string
}

func (n *network) Set(_ context.Context, from []netip.Addr, to netip.Addr) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.plain {
		return errors.New("nft: not found")
	}
	n.led = append(n.led, fmt.Sprint(from, " ", to))
	return nil
}

func (n *network) Clear(context.Context) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.led = append(n.led, "")
	return nil
}

func (n *network) List() ([]socket.Connection, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.lists++
	return slices.Clone(n.connections), nil
}

func (n *network) End(connection socket.Connection) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if n.stays {
		return socket.ErrNotEnded
	}
	n.ended = append(n.ended, connection.Remote.Addr())
	n.connections = slices.DeleteFunc(n.connections, func(c socket.Connection) bool { return c == connection })
	return nil
}

func (n *network) connect(ctx context.Context, address string) error {
	to := netip.MustParseAddrPort(address).Addr()
	n.mutex.Lock()
	n.asked++
	dead, refuses := slices.Contains(n.dead, to), slices.Contains(n.refusing, to)
	n.mutex.Unlock()
	switch {
	case refuses:
		return &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	case dead:
		<-ctx.Done()
		return ctx.Err()
	default:
		return nil
	}
}

// set changes the network while the watch runs.
func (n *network) set(change func()) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	change()
	for _, c := range n.connections {
		n.timeouts += int64(c.Unanswered)
	}
}

func (n *network) Timeouts() (int64, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.timeouts, nil
}

// told returns how often gateways were asked, the ends of connections, and the detours but for that which the agent clears when it starts.
func (n *network) told() (asked int, ended []netip.Addr, led []string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return n.asked, slices.Clone(n.ended), slices.Clone(n.led[1:])
}

// watch runs a Watch over the network for as long as the test's story takes.
func (n *network) watch(t *testing.T, gateways func() []netip.Addr, story func(changed chan<- struct{})) {
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		list := func() ([]netip.Addr, uint16) { return gateways(), 15012 }
		watch := NewWatch(list, changed, n, n, slog.New(slog.NewTextHandler(t.Output(), nil)))
		watch.connect = n.connect
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- watch.Run(ctx) }()
		synctest.Wait()
		story(changed)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, _, led := n.told(); led[len(led)-1] != "" {
			t.Error("a detour outlives the agent")
		}
	})
}

// checkTold compares what was done since the agent started.
func (n *network) checkTold(t *testing.T, when string, ended []netip.Addr, led ...string) {
	t.Helper()
	_, gotEnded, gotLed := n.told()
	if !slices.Equal(gotEnded, ended) || !slices.Equal(gotLed, led) {
		t.Errorf("%s: ended %v, led %q; want %v, %q", when, gotEnded, gotLed, ended, led)
	}
}

func always(gateways ...netip.Addr) func() []netip.Addr {
	return func() []netip.Addr { return gateways }
}

func TestASilentGatewayIsLeftAndTakenAgain(t *testing.T) {
	n := &network{connections: []socket.Connection{connection(first, false, 0), connection(second, false, 0)}}
	n.watch(t, always(first, second), func(chan<- struct{}) {
		time.Sleep(time.Minute)
		n.set(func() {
			if n.asked > 0 || n.lists > 1 {
				t.Errorf("asked %d times, looked at connections %d times while all is well", n.asked, n.lists)
			}
		})
		n.set(func() { n.dead, n.connections[0].Unanswered = []netip.Addr{first}, 2 })
		time.Sleep(lookEvery + answerTime + endEvery)
		detour := "[192.0.2.1] 2001:db8::2"
		n.checkTold(t, "it is silent", []netip.Addr{first}, detour)
		// One that is led elsewhere stays, one that was begun just before that does not.
		n.set(func() { n.connections = append(n.connections, connection(first, false, 0), connection(first, true, 1)) })
		time.Sleep(answerTime + 2*endEvery)
		n.checkTold(t, "while it is silent", []netip.Addr{first, first}, detour)
		time.Sleep(leadAgain)
		n.checkTold(t, "for longer than a detour lasts", []netip.Addr{first, first}, detour, detour)
		n.set(func() { n.dead = nil })
		time.Sleep(time.Minute)
		n.checkTold(t, "it answers again", []netip.Addr{first, first}, detour, detour, "")
	})
}

// The name of the gateway leads elsewhere now, and the cluster tells proxies the former address for a while.
func TestAFormerGatewayIsLeftWhenItIsSilent(t *testing.T) {
	var now atomic.Pointer[[]netip.Addr]
	now.Store(&[]netip.Addr{first})
	n := &network{connections: []socket.Connection{connection(first, false, 0)}}
	n.watch(t, func() []netip.Addr { return *now.Load() }, func(changed chan<- struct{}) {
		n.set(func() { n.dead, n.connections[0].Unanswered = []netip.Addr{first}, 3 })
		time.Sleep(time.Minute)
		n.checkTold(t, "there is one gateway", nil)
		now.Store(&[]netip.Addr{second})
		changed <- struct{}{}
		time.Sleep(answerTime + endEvery)
		detour := "[192.0.2.1] 2001:db8::2"
		n.checkTold(t, "there is another one", []netip.Addr{first}, detour)
		time.Sleep(remembered)
		_, _, led := n.told()
		if last := led[len(led)-1]; last != "" {
			t.Errorf("the detour is there for ever: %q", led)
		}
	})
}

func TestWhatIsLeftAlone(t *testing.T) {
	for _, c := range []struct {
		name     string
		gateways []netip.Addr
		network  *network
	}{
		{"there is one gateway", []netip.Addr{first}, &network{dead: []netip.Addr{first}}},
		{"the link is cut", []netip.Addr{first, second}, &network{dead: []netip.Addr{first, second}}},
		{"it refuses, and is there", []netip.Addr{first, second}, &network{refusing: []netip.Addr{first}}},
		{"it answers: packets were lost", []netip.Addr{first, second}, &network{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.network.connections = []socket.Connection{connection(first, false, 5)}
			c.network.timeouts = 5
			c.network.watch(t, always(c.gateways...), func(chan<- struct{}) {
				time.Sleep(time.Minute)
				c.network.checkTold(t, "after a minute", nil)
			})
		})
	}
}

func TestAHostWithoutNFTablesEndsWhatIsTried(t *testing.T) {
	n := &network{connections: []socket.Connection{connection(first, false, 2)}, dead: []netip.Addr{first}, plain: true}
	n.watch(t, always(first, second), func(chan<- struct{}) {
		time.Sleep(lookEvery + answerTime + endEvery)
		n.set(func() { n.connections = append(n.connections, connection(first, true, 0)) })
		time.Sleep(answerTime + 2*endEvery)
		n.checkTold(t, "while it is silent", []netip.Addr{first, first})
	})
}

func TestAKernelThatCannotEndConnections(t *testing.T) {
	n := &network{connections: []socket.Connection{connection(first, false, 2)}, dead: []netip.Addr{first}, stays: true}
	n.watch(t, always(first, second), func(chan<- struct{}) {
		time.Sleep(time.Minute)
		if asked, _, _ := n.told(); asked != 2 {
			t.Errorf("asked %d times, want once for each gateway", asked)
		}
	})
}

func TestConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := connect(t.Context(), listener.Addr().String()); err != nil {
		t.Error(err)
	}
	_ = listener.Close()
	if err := connect(t.Context(), listener.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connect to nobody: %v", err)
	}
}
