package publish

import (
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

// Bounds of a connection. Thousands of streams are idle most of the time, so what each holds is small: gRPC gives write buffers back between
// writes, which have the room of any state, and reads have no buffer but that of TLS, which has all of a record.
const (
	maxRequest  = 256 << 10
	readBuffer  = 0
	writeBuffer = 16 << 10
	// window is how much an agent may send ahead, a stream and a connection alike. Reports are small: there is nothing that a larger window
	// would speed up, and to find out would cost a ping for each report.
	window = 256 << 10
	// headerTable remembers no headers: an agent opens a stream or two on a connection.
	headerTable = 0
	// maxStreams of one connection: an agent has one Sync and a few downloads.
	maxStreams = 16
	// pingAfter and pingTimeout: a link that was cut is noticed within 15 s by either end.
	pingAfter   = 10 * time.Second
	pingTimeout = 5 * time.Second
	// minPing is how often agents may ping; theirs is the same interval, which a timer may undercut a little.
	minPing = 5 * time.Second
	// handshakeTimeout has room for the wait of handshakePatience.
	handshakeTimeout = handshakePatience + 5*time.Second
)

// NewServer makes a gRPC server for agents with the TLS side of a manager.
func NewServer(config *tls.Config) *grpc.Server {
	config = config.Clone()
	config.GetConfigForClient = make(handshakes, handshakesAtOnce).enter
	return grpc.NewServer(
		grpc.Creds(credentials.NewTLS(config)),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.HeaderTableSize(headerTable),
		grpc.ReadBufferSize(readBuffer),
		grpc.WriteBufferSize(writeBuffer),
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
	)
}
