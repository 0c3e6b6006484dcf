//go:build lab

package network_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/machine/machinetest"
	"github.com/hawser-io/hawser/lab/internal/network"
)

const balancer = "172.31.0.240"

// The way from a machine into the cluster is through a load balancer's address, and no other.
func TestOnlyTheGatewayIsReached(t *testing.T) {
	l := machinetest.New(t)
	p := newPod(l)
	p.serve("10.88.0.2:8080")
	serve(l, "0.0.0.0:6443")
	l.AddMachine("vm-one", machine.Options{})
	l.AddMachine("vm-two", machine.Options{})

	l.Want("vm-one", "ping -c1 -W1 172.31.0.1 >/dev/null && echo ok", "ok")
	l.Want("vm-one", "nc -z -w1 172.31.0.12 22 && echo ok", "ok")
	for _, target := range []string{
		"10.88.0.2 8080",    // a pod
		"10.96.0.7 80",      // a Service's cluster address, which the node translates to the pod
		"172.31.0.1 30080",  // a node port, likewise
		"172.31.0.1 6443",   // the node
		"10.88.0.1 6443",    // the node, by its address among the pods
		balancer + " 15012", // a load balancer that does not exist yet
	} {
		l.WantFailure("vm-one", "nc -z -w1 "+target)
	}
	// A refusal is told at once; only silence would take the whole second.
	l.Want("vm-one", "curl -s --max-time 5 http://10.88.0.2:8080 -o /dev/null; echo $?", "7")
	l.WantFailure("vm-one", "ping -c1 -W1 10.88.0.2")

	addr := netip.MustParseAddr(balancer)
	l.Must(l.Network.AddAddress(t.Context(), addr))
	l.Must(l.Network.AddAddress(t.Context(), addr))
	l.Want("vm-one", "nc -z -w1 "+balancer+" 15012 && echo ok", "ok")
	l.WantFailure("vm-one", "nc -z -w1 10.96.0.7 80")
	p.dial("172.31.0.11:22")
	p.dial("172.31.0.12:22")

	l.Must(l.Network.RemoveAddress(t.Context(), addr))
	l.Must(l.Network.RemoveAddress(t.Context(), addr))
	l.WantFailure("vm-one", "nc -z -w1 "+balancer+" 15012")
}

// An address that was taken away is as dead for connections that exist: nothing comes, not even a refusal.
func TestTakenAddressIsSilent(t *testing.T) {
	l := machinetest.New(t)
	p := newPod(l)
	p.inside(func() error {
		serveBy(l, "10.88.0.2:8080", func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
		return nil
	})
	l.AddMachine("vm-one", machine.Options{})
	addr := netip.MustParseAddr(balancer)
	l.Must(l.Network.AddAddress(t.Context(), addr))
	const answered = "for i in $(seq 20); do grep -q %[1]s /tmp/out && echo ok && exit; sleep 0.05; done; exit 1"
	l.Want("vm-one", "mkfifo /tmp/in && (nc "+balancer+" 15012 <>/tmp/in >/tmp/out 2>/tmp/err & echo one >/tmp/in; "+fmt.Sprintf(answered, "one")+")", "ok")
	l.Must(l.Network.RemoveAddress(t.Context(), addr))
	l.WantFailure("vm-one", "echo two >/tmp/in; "+fmt.Sprintf(answered, "two"))
	l.Want("vm-one", "pgrep -c -x nc", "1")
}

// An address that is about to go serves new connections, and nothing but its ports.
func TestFormerAddressServes(t *testing.T) {
	l := machinetest.New(t)
	p := newPod(l)
	p.inside(func() error {
		serveBy(l, "10.88.0.2:8080", func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
		return nil
	})
	l.AddMachine("vm-one", machine.Options{})
	former := netip.MustParseAddr("172.31.0.249")
	l.Must(l.Network.AddAddress(t.Context(), former))
	for range 2 {
		l.Must(l.Network.Forward(t.Context(), former, netip.MustParseAddr("10.88.0.2"), []uint16{8080}))
	}
	l.Want("vm-one", "echo one | nc -N -w1 172.31.0.249 8080", "one")
	l.WantFailure("vm-one", "nc -z -w1 172.31.0.249 6443")
	l.Must(l.Network.RemoveAddress(t.Context(), former))
	l.WantFailure("vm-one", "nc -z -w1 172.31.0.249 8080")
}

func TestCutLinks(t *testing.T) {
	l := machinetest.New(t)
	l.AddMachine("near", machine.Options{})
	l.AddMachine("far", machine.Options{})
	l.Want("near", "ping -c1 -W1 172.31.0.12 >/dev/null && echo ok", "ok")

	// received has the counter of pings that reach a machine move, or not, while another sends to it. A counter of packets of all kinds
	// moves by itself: a bridge tells new members about groups and neighbours.
	received := func(from, to, address string) bool {
		const counter = "awk '/^Icmp:/ { n = $10 } END { print n }' /proc/net/snmp"
		before, _ := l.Shell(to, counter)
		l.Shell(from, "ping -c2 -i0.1 -W0.3 "+address)
		after, _ := l.Shell(to, counter)
		return before != after
	}
	for _, tt := range []struct {
		direction network.Direction
		state     string
		toFar     bool
	}{
		{direction: network.From, state: "cut from", toFar: true},
		{direction: network.To, state: "cut to", toFar: false},
		{direction: network.Both, state: "cut", toFar: false},
	} {
		t.Run(string(tt.direction), func(t *testing.T) {
			l.Must(l.Network.Cut(t.Context(), "far", tt.direction))
			if got := l.Network.Link("far").String(); got != tt.state {
				t.Errorf("the link is %q, want %q", got, tt.state)
			}
			l.WantFailure("near", "ping -c1 -W0.3 172.31.0.12")
			l.WantFailure("far", "ping -c1 -W0.3 172.31.0.1")
			if got := received("near", "far", "172.31.0.12"); got != tt.toFar {
				t.Errorf("packets to the machine arrive: %t, want %t", got, tt.toFar)
			}
			l.Must(l.Network.Restore(t.Context(), "far"))
			l.Want("near", "ping -c1 -W2 172.31.0.12 >/dev/null && echo ok", "ok")
		})
	}
	l.Must(l.Network.Cut(t.Context(), "far", network.Both))
	_, err := l.Machines.Reboot(t.Context(), "far")
	l.Must(err)
	l.WantFailure("near", "ping -c1 -W0.3 172.31.0.12") // a cut cable stays cut over a reboot
	l.Must(l.Machines.Remove(t.Context(), "far"))
	l.AddMachine("far", machine.Options{})
	l.Want("near", "ping -c1 -W2 172.31.0.12 >/dev/null && echo ok", "ok")
}

func TestSetupAndTeardownRepeat(t *testing.T) {
	l := machinetest.New(t)
	addr := netip.MustParseAddr("172.31.0.99")
	first, err := l.Network.Attach(t.Context(), "a-name-longer-than-an-interface", addr)
	l.Must(err)
	second, err := l.Network.Attach(t.Context(), "a-name-longer-than-an-interface", addr)
	l.Must(err)
	if first != second {
		t.Errorf("the namespace moved from %s to %s", first, second)
	}
	l.Must(l.Network.Setup(t.Context()))
	l.Must(l.Network.Teardown(t.Context()))
	l.Must(l.Network.Teardown(t.Context()))
	// The file of a namespace whose mount is gone is what a killed lab leaves.
	l.Must(os.WriteFile(first, nil, 0o444))
	l.Must(l.Network.Setup(t.Context()))
	if _, err := os.Stat(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a stale file of a namespace is still there: %v", err)
	}
}

func TestMachinesResolve(t *testing.T) {
	l := machinetest.New(t)
	resolver := network.NewResolver(netip.AddrPortFrom(l.Network.Router().Addr(), 53), "lab.internal")
	resolver.Set("gateway", netip.MustParseAddr(balancer))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- resolver.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		l.Must(<-ended)
	})
	for _, opts := range []machine.Options{{}, {Resolved: true}} {
		name := fmt.Sprintf("resolved-%t", opts.Resolved)
		l.AddMachine(name, opts)
		l.Want(name, "getent ahostsv4 gateway.lab.internal | awk '{print $1; exit}'", balancer)
		l.Want(name, "getent ahostsv4 gateway | awk '{print $1; exit}'", balancer)
		l.WantFailure(name, "getent hosts web.shop.svc.cluster.local")
	}
	resolver.Set("gateway", netip.MustParseAddr("172.31.0.241"))
	l.Want("resolved-false", "getent ahostsv4 gateway | awk '{print $1; exit}'", "172.31.0.241")
}

// pod is a network namespace on a bridge of its own, with the translations that kube-proxy would make for it.
type pod struct {
	*machinetest.Lab
	namespace *os.File
}

func newPod(l *machinetest.Lab) *pod {
	script := `set -e
mkdir -p /run/netns
ip link add pods type bridge
ip addr add 10.88.0.1/16 dev pods
ip link set pods up
ip netns add pod
ip link add pod0 master pods type veth peer name eth0 netns pod
ip link set pod0 up
ip -n pod addr add 10.88.0.2/16 dev eth0
ip -n pod link set eth0 up
ip -n pod route add default via 10.88.0.1
nft -f - <<'END'
table ip kube_proxy {
	chain nat {
		type nat hook prerouting priority dstnat;
		ip daddr 172.31.0.240 tcp dport 15012 dnat to 10.88.0.2:8080
		ip daddr 10.96.0.7 tcp dport 80 dnat to 10.88.0.2:8080
		ip daddr 172.31.0.1 tcp dport 30080 dnat to 10.88.0.2:8080
	}
}
END`
	run(l, script)
	l.Cleanup(func() {
		run(l, "ip link del pod0; ip netns del pod; ip link del pods; nft delete table ip kube_proxy; umount /run/netns || true")
	})
	namespace, err := os.Open("/run/netns/pod")
	l.Must(err)
	l.Cleanup(func() { l.Must(namespace.Close()) })
	return &pod{Lab: l, namespace: namespace}
}

func run(l *machinetest.Lab, script string) {
	l.Helper()
	out, err := exec.Command("sh", "-c", script).CombinedOutput()
	if err != nil {
		l.Fatalf("%s: %v: %s", strings.SplitN(script, "\n", 2)[0], err, out)
	}
}

// inside runs a function on a thread that is in the pod's namespace; a socket made there stays there.
func (p *pod) inside(do func() error) {
	p.Helper()
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(p.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			ended <- err
			return
		}
		ended <- do()
	}()
	p.Must(<-ended)
}

func (p *pod) serve(address string) {
	p.inside(func() error {
		serve(p.Lab, address)
		return nil
	})
}

func (p *pod) dial(address string) {
	p.Helper()
	p.inside(func() error {
		conn, err := net.DialTimeout("tcp4", address, time.Second)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// serve accepts connections until the test ends, and closes each at once.
func serve(l *machinetest.Lab, address string) { serveBy(l, address, func(net.Conn) {}) }

// serveBy accepts connections until the test ends; handle has each, which is closed after it, or at the end.
func serveBy(l *machinetest.Lab, address string, handle func(net.Conn)) {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		l.Error(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				defer stop()
				handle(conn)
				_ = conn.Close()
			})
		}
	})
	l.Cleanup(func() {
		cancel()
		l.Must(listener.Close())
		serving.Wait()
	})
}
