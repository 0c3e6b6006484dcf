package desired

import (
	"crypto/sha256"
	"encoding/hex"

	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Generation returns the lower-case hex SHA-256 of the state's deterministic encoding without generation and token. Notices
// are part of it: an agent that is told "you are current" has the notices that its owner sees. No field is a map, so the
// encoding depends on the order of the lists alone, and that is fixed here.
func Generation(state *hawserv1.DesiredState) string {
	bare := &hawserv1.DesiredState{
		Machine:      state.Machine,
		Revision:     state.Revision,
		Mesh:         state.Mesh,
		Proxy:        state.Proxy,
		Interception: state.Interception,
		Dns:          state.Dns,
		Unit:         state.Unit,
		Health:       state.Health,
		Notices:      state.Notices,
	}
	// Marshal fails on invalid UTF-8 alone; what comes from the API server's JSON is valid, and AllowPartial is moot in proto3.
	encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}
