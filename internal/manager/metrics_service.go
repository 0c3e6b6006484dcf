package manager

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/refusal"
)

// Service is the same service with its streams and refusals counted.
func (m *metrics) Service(service hawserv1.MachineServiceServer) hawserv1.MachineServiceServer {
	return &counted{MachineServiceServer: service, metrics: m}
}

type counted struct {
	hawserv1.MachineServiceServer
	metrics *metrics
}

func (c *counted) Sync(stream grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]) error {
	c.metrics.started.Inc()
	s := &countedStream{BidiStreamingServer: stream, metrics: c.metrics, seen: c.metrics.change.Load()}
	err := c.MachineServiceServer.Sync(s)
	reason := c.metrics.refused("sync", err)
	switch {
	case reason != "":
	case err == nil, s.closed.Load():
		reason = "Closed"
	default:
		reason = "Lost"
	}
	c.metrics.ended.WithLabelValues(reason).Inc()
	return err
}

func (c *counted) Leave(ctx context.Context, request *hawserv1.LeaveRequest) (*hawserv1.LeaveResponse, error) {
	response, err := c.MachineServiceServer.Leave(ctx, request)
	c.metrics.refused("leave", err)
	return response, err
}

func (c *counted) ReadArtifact(request *hawserv1.ReadArtifactRequest, stream grpc.ServerStreamingServer[hawserv1.ReadArtifactResponse]) error {
	err := c.MachineServiceServer.ReadArtifact(request, stream)
	c.metrics.refused("read_artifact", err)
	return err
}

// refused counts a refusal and returns its reason, empty if the error is none.
func (m *metrics) refused(method string, err error) string {
	refused, ok := refusal.FromError(err)
	if !ok {
		return ""
	}
	m.refusals.WithLabelValues(method, string(refused.Reason)).Inc()
	return string(refused.Reason)
}

// countedStream sees what goes over a stream. One goroutine sends; another one receives.
type countedStream struct {
	grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]
	metrics *metrics
	// seen is the last change that the stream was opened after, or that a state was sent after.
	seen *time.Time
	// closed by the agent.
	closed atomic.Bool
}

func (s *countedStream) Send(response *hawserv1.SyncResponse) error {
	if err := s.BidiStreamingServer.Send(response); err != nil || response.GetState() == nil {
		return err
	}
	// A state that follows from no change is what the machine did not have when it came.
	if last := s.metrics.change.Load(); last != s.seen {
		s.seen = last
		s.metrics.published.Observe(time.Since(*last).Seconds())
	}
	return nil
}

func (s *countedStream) Recv() (*hawserv1.SyncRequest, error) {
	request, err := s.BidiStreamingServer.Recv()
	if errors.Is(err, io.EOF) {
		s.closed.Store(true)
	}
	return request, err
}
