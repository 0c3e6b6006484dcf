package publish

import (
	"google.golang.org/grpc/encoding"
	// It registers the codec that is wrapped.
	_ "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
)

// codec decodes what agents send on goroutines of their own: see aside.
type codec struct{ encoding.CodecV2 }

// newCodec wraps grpc's own.
func newCodec() codec { return codec{encoding.GetCodecV2("proto")} }

func (c codec) Unmarshal(data mem.BufferSlice, message any) error {
	var err error
	aside(func() { err = c.CodecV2.Unmarshal(data, message) })
	return err
}

// aside has work done by a goroutine of its own and waits for it. Work that goes deep makes a stack grow, to two or four times of what one needs that
// waits, and each of thousands of streams has several that wait. A stack that has grown often never shrinks: it would have to be all but empty.
func aside(work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	<-done
}
