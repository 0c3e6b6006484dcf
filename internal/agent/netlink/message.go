package netlink

import (
	"encoding/binary"
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// Request puts the header of a message before its content (netlink(7)).
func Request(kind, flags uint16, content []byte) []byte {
	message := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(content))
	binary.NativeEndian.PutUint32(message, uint32(unix.NLMSG_HDRLEN+len(content)))
	binary.NativeEndian.PutUint16(message[4:], kind)
	binary.NativeEndian.PutUint16(message[6:], flags|unix.NLM_F_REQUEST)
	return append(message, content...)
}

// errorIn reads the code of an error message; 0 is an acknowledgement.
func errorIn(content []byte) error {
	if len(content) < 4 {
		return errors.New("netlink's error has no code")
	}
	if code := int32(binary.NativeEndian.Uint32(content)); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}
