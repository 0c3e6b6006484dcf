package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/netlink"
)

// Connection is a TCP connection.
type Connection struct {
	// Remote is the far end.
	Remote netip.AddrPort
	// UID of the process that made it.
	UID int
	// Connecting: the far end has not accepted it yet.
	Connecting bool
	// Unanswered is how often in a row the kernel sent something again because nothing came back.
	Unanswered int

	family byte
	// id is struct inet_diag_sockid (linux/inet_diag.h): both ends and the kernel's cookie.
	id [diagIDSize]byte
}

// Sizes of linux/inet_diag.h: struct inet_diag_sockid, and of struct inet_diag_msg what is read.
const (
	diagIDSize  = 48
	diagUIDAt   = 4 + diagIDSize + 12
	diagMessage = diagUIDAt + 8
)

// ErrNotEnded: the kernel cannot end connections of others (CONFIG_INET_DIAG_DESTROY).
var ErrNotEnded = errors.New("this kernel cannot end connections of other processes")

// Connections returns the TCP connections of a user to a port, or to all if it is 0, those that are being made included (sock_diag(7)).
func Connections(uid int, port uint16) ([]Connection, error) { return list(uid, port, remotePortAt) }

// Accepted returns the TCP connections that a user's process has accepted on a port.
func Accepted(uid int, port uint16) ([]Connection, error) { return list(uid, port, localPortAt) }

// Where struct inet_diag_sockid has the ports, in network order.
const (
	localPortAt  = 0
	remotePortAt = 2
)

func list(uid int, port uint16, portAt int) ([]Connection, error) {
	var found []Connection
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		want := Connection{family: family}
		binary.BigEndian.PutUint16(want.id[portAt:], port)
		err := ask(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, want, func(message syscall.NetlinkMessage) {
			if c, ok := connectionIn(message.Data); ok && c.UID == uid {
				found = append(found, c)
			}
		})
		if err != nil {
			return nil, fmt.Errorf("list connections of port %d: %w", port, err)
		}
	}
	return found, nil
}

// End ends a connection as if it had broken: both ends learn of it at once, if the way between them is there. One that has ended meanwhile
// is no error. It takes CAP_NET_ADMIN.
func (c Connection) End() error {
	err := ask(unix.SOCK_DESTROY, unix.NLM_F_ACK, c, func(syscall.NetlinkMessage) {})
	switch {
	case errors.Is(err, syscall.ENOENT):
		return nil
	case errors.Is(err, syscall.EOPNOTSUPP):
		return ErrNotEnded
	case err != nil:
		return fmt.Errorf("end the connection to %s: %w", c.Remote, err)
	}
	return nil
}

// ask sends a request of struct inet_diag_req_v2 on a socket of its own.
func ask(kind, flags uint16, about Connection, take func(syscall.NetlinkMessage)) error {
	kernel, err := netlink.Open(unix.NETLINK_INET_DIAG, 0)
	if err != nil {
		return err
	}
	defer kernel.Close()
	const states = 1<<tcpEstablished | 1<<tcpSynSent
	request := []byte{about.family, unix.IPPROTO_TCP, 0, 0}
	request = binary.NativeEndian.AppendUint32(request, states)
	return kernel.Ask(netlink.Request(kind, flags, append(request, about.id[:]...)), take)
}

// States of include/net/tcp_states.h; idiag_timer of sock_diag(7), for when idiag_retrans counts what was sent again, and probes of keepalive.
const (
	tcpEstablished = 1
	tcpSynSent     = 2

	timerRetransmit = 1
	timerKeepalive  = 2
)

// connectionIn reads struct inet_diag_msg.
func connectionIn(message []byte) (Connection, bool) {
	if len(message) < diagMessage {
		return Connection{}, false
	}
	c := Connection{family: message[0], Connecting: message[1] == tcpSynSent, UID: int(binary.NativeEndian.Uint32(message[diagUIDAt:]))}
	if timer := message[2]; timer == timerRetransmit || timer == timerKeepalive {
		c.Unanswered = int(message[3])
	}
	copy(c.id[:], message[4:])
	size := 4
	if c.family == unix.AF_INET6 {
		size = 16
	}
	const remoteAt = 2 + 2 + 16
	address, _ := netip.AddrFromSlice(c.id[remoteAt : remoteAt+size])
	c.Remote = netip.AddrPortFrom(address.Unmap(), binary.BigEndian.Uint16(c.id[2:]))
	return c, true
}
