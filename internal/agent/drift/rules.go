package drift

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hawser-io/hawser/internal/agent/netlink"
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
	socket, err := netlink.Open(unix.NETLINK_NETFILTER, 1<<(unix.NFNLGRP_NFTABLES-1))
	if err != nil {
		return fmt.Errorf("watch traffic rules: %w", err)
	}
	watching()
	// What changed before nobody has told.
	tell()
	if err := socket.Listen(ctx, func(datagram []byte) {
		if datagram == nil || concernsIstio(datagram) {
			tell()
		}
	}); err != nil {
		return fmt.Errorf("watch traffic rules: %w", err)
	}
	return nil
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
