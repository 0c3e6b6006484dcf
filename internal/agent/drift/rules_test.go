package drift

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// message is one of nftables' notices: of a kind, about a table.
func message(kind uint16, attribute uint16, name string) []byte {
	value := append([]byte(name), 0)
	attributes := binary.NativeEndian.AppendUint16(nil, uint16(attributeSize+len(value)))
	attributes = binary.NativeEndian.AppendUint16(attributes, attribute)
	attributes = append(attributes, value...)
	for len(attributes)%4 != 0 {
		attributes = append(attributes, 0)
	}
	body := append([]byte{unix.NFPROTO_INET, 0, 0, 0}, attributes...)
	header := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	header = binary.NativeEndian.AppendUint16(header, unix.NFNL_SUBSYS_NFTABLES<<8|kind)
	header = append(header, make([]byte, 10)...)
	return append(header, body...)
}

func TestConcernsIstio(t *testing.T) {
	ours, others := message(unix.NFT_MSG_DELTABLE, unix.NFTA_TABLE_NAME, "istio-proxy-nat"), message(unix.NFT_MSG_NEWRULE, unix.NFTA_RULE_TABLE, "firewalld")
	for name, c := range map[string]struct {
		datagram []byte
		want     bool
	}{
		"ours":           {ours, true},
		"others":         {others, false},
		"after others":   {append(append([]byte{}, others...), ours...), true},
		"generation":     {message(unix.NFT_MSG_NEWGEN, unix.NFTA_GEN_ID, "istio-proxy-nat"), false},
		"second":         {message(unix.NFT_MSG_NEWRULE, unix.NFTA_RULE_CHAIN, "istio-proxy-nat"), false},
		"empty":          {nil, false},
		"cut short":      {ours[:len(ours)-8], true},
		"without a body": {message(unix.NFT_MSG_NEWTABLE, unix.NFTA_TABLE_NAME, "")[:unix.SizeofNlMsghdr], true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := concernsIstio(c.datagram); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
