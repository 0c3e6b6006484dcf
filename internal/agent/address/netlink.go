package address

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// netlinkSocket is a routing socket that a read can be ended on by closing it.
type netlinkSocket struct{ file *os.File }

func subscribe() (netlinkSocket, error) {
	// Non-blocking, so that Go's poller waits for it and close ends a read.
	descriptor, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return netlinkSocket{}, err
	}
	if err := unix.Bind(descriptor, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups()}); err != nil {
		return netlinkSocket{}, errors.Join(err, unix.Close(descriptor))
	}
	return netlinkSocket{os.NewFile(uintptr(descriptor), "rtnetlink")}, nil
}

// close is called once; a failure to close a socket that is only read loses nothing.
func (s netlinkSocket) close() { _ = s.file.Close() }
