package drift

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// nfgenmsgSize is what a message starts with (linux/netfilter/nfnetlink.h). attributeTable names the table in messages of all kinds but
// those about the ruleset's generation (linux/netfilter/nf_tables.h).
const (
	nfgenmsgSize      = 4
	attributeTable    = unix.NFTA_TABLE_NAME
	attributeSize     = 4
	attributeTypeMask = 0x3fff
)

// tablePrefix is what the names of istio-iptables' tables begin with (istio.io/istio, tools/istio-nftables/pkg/constants).
const tablePrefix = "istio-proxy-"

// watchRules calls watching once it watches, and tell when tables of Istio's change, until ctx ends. Rules by iptables are not told
// apart from those of others.
func watchRules(ctx context.Context, watching, tell func()) error {
	descriptor, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("watch traffic rules: %w", err)
	}
	if err := unix.Bind(descriptor, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)}); err != nil {
		return fmt.Errorf("watch traffic rules: %w", errors.Join(err, unix.Close(descriptor)))
	}
	// Go's poller waits for it, and closing it ends a read; it is closed once, and there is nothing to lose in it.
	socket := os.NewFile(uintptr(descriptor), "nfnetlink")
	stop := context.AfterFunc(ctx, func() { _ = socket.Close() })
	defer func() {
		if stop() {
			_ = socket.Close()
		}
	}()
	watching()
	// What changed before nobody has told.
	tell()
	buffer := make([]byte, 16<<10)
	for {
		read, err := socket.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, syscall.ENOBUFS):
			// The kernel dropped messages.
			tell()
		case err != nil:
			return fmt.Errorf("watch traffic rules: %w", err)
		case concernsIstio(buffer[:read]):
			tell()
		}
	}
}

// concernsIstio reports whether one of the messages is about a table of Istio's. What cannot be read may be.
func concernsIstio(datagram []byte) bool {
	messages, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return true
	}
	for _, message := range messages {
		if message.Header.Type&0xff == unix.NFT_MSG_NEWGEN || len(message.Data) < nfgenmsgSize {
			continue
		}
		if strings.HasPrefix(table(message.Data[nfgenmsgSize:]), tablePrefix) {
			return true
		}
	}
	return false
}

// table finds the name of a message's table among its attributes (netlink(7)), empty if there is none.
func table(attributes []byte) string {
	for len(attributes) >= attributeSize {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < attributeSize || size > len(attributes) {
			return ""
		}
		if binary.NativeEndian.Uint16(attributes[2:])&attributeTypeMask == attributeTable {
			return string(bytes.TrimRight(attributes[attributeSize:size], "\x00"))
		}
		attributes = attributes[min((size+3)&^3, len(attributes)):]
	}
	return ""
}
