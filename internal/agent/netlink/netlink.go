// Package netlink talks to the kernel by netlink(7): it hears what the kernel tells, and asks it. What messages mean is the business of whoever
// uses it; it must not know one.
package netlink

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// receiveBuffer holds the largest datagram that the kernel sends (linux/netlink.h, NLMSG_GOODSIZE is at most 8 KiB; dumps come in up to 32).
const receiveBuffer = 32 << 10

// Socket is a socket of one of netlink's protocols. It is closed once.
type Socket struct{ file *os.File }

// Open opens a socket of a protocol (unix.NETLINK_…) that hears what is told to the groups, a bit for each.
func Open(protocol int, groups uint32) (*Socket, error) {
	// Non-blocking, so that Go's poller waits for it and closing ends a read.
	descriptor, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	if err := unix.Bind(descriptor, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return nil, fmt.Errorf("bind a netlink socket: %w", errors.Join(err, unix.Close(descriptor)))
	}
	return &Socket{os.NewFile(uintptr(descriptor), "netlink")}, nil
}

// Close ends reads. There is nothing to lose in a socket of this kind.
func (s *Socket) Close() { _ = s.file.Close() }

// Listen hands each datagram to take until ctx ends, and closes the socket then. nil means that the kernel dropped some, as nobody read them in
// time. take must not keep the datagram.
func (s *Socket) Listen(ctx context.Context, take func(datagram []byte)) error {
	stop := context.AfterFunc(ctx, s.Close)
	defer func() {
		if stop() {
			s.Close()
		}
	}()
	buffer := make([]byte, receiveBuffer)
	for {
		read, err := s.file.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.ENOBUFS):
			take(nil)
		case err != nil:
			return fmt.Errorf("read from netlink: %w", err)
		default:
			take(buffer[:read])
		}
	}
}

// Ask sends a request, header included, and hands what it is answered to take, until the kernel says that this was all. An error of the kernel's
// is returned as a syscall.Errno.
func (s *Socket) Ask(request []byte, take func(message syscall.NetlinkMessage)) error {
	if _, err := s.file.Write(request); err != nil {
		return fmt.Errorf("ask by netlink: %w", err)
	}
	buffer := make([]byte, receiveBuffer)
	for {
		read, err := s.file.Read(buffer)
		if err != nil {
			return fmt.Errorf("read an answer from netlink: %w", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:read])
		if err != nil {
			return fmt.Errorf("read an answer from netlink: %w", err)
		}
		for _, message := range messages {
			switch message.Header.Type {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				return errorIn(message.Data)
			default:
				take(message)
			}
		}
	}
}
