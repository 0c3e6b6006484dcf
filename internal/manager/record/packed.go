package record

import (
	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// packed is a message as it is kept: there is one of each kind for each machine, looked at seldom, and its bytes are a fifth of its structs.
type packed []byte

// pack never fails for what has come as a message: its texts are UTF-8. Nil, or what cannot be packed, says nothing.
func pack(message proto.Message) packed {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return nil
	}
	return bytes
}

func (p packed) report() *hawserv1.Report {
	report := &hawserv1.Report{}
	p.unpack(report)
	return report
}

func (p packed) host() *hawserv1.HostFacts {
	host := &hawserv1.HostFacts{}
	p.unpack(host)
	return host
}

// unpack reads what pack has written, which is valid.
func (p packed) unpack(into proto.Message) { _ = proto.Unmarshal(p, into) }
