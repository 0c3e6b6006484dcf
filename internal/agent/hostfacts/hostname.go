package hostfacts

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// hostnameFile can be waited for: the kernel tells of a change as an exceptional condition (linux, fs/proc/proc_sysctl.c, proc_sys_poll).
const hostnameFile = "/proc/sys/kernel/hostname"

// Hostname is the host's name (uname nodename) at this moment, empty if it cannot be found out.
func Hostname() string {
	hostname, _ := uname()
	return hostname
}

// WatchHostname calls changed whenever the host may have got another name, until ctx ends. It needs a thread of its own.
func WatchHostname(ctx context.Context, changed func()) error {
	name, err := unix.Open(hostnameFile, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("watch %s: %w", hostnameFile, err)
	}
	defer unix.Close(name)
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("watch %s: %w", hostnameFile, err)
	}
	defer unix.Close(end)
	// The poll ends by this alone, so that it is written before the descriptor is closed.
	written := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(written)
		_, _ = unix.Write(end, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	defer func() {
		if !stop() {
			<-written
		}
	}()
	for {
		events := []unix.PollFd{{Fd: int32(name), Events: unix.POLLPRI}, {Fd: int32(end), Events: unix.POLLIN}}
		_, err := unix.Poll(events, -1)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("watch %s: %w", hostnameFile, err)
		case err == nil && events[0].Revents != 0:
			changed()
		}
	}
}
