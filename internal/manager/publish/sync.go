package publish

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
	"github.com/hawser-io/hawser/internal/refusal"
)

// helloPatience is how long an agent may take to say hello.
const helloPatience = 10 * time.Second

type syncStream = grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]

// Sync holds a machine's stream until either side ends it, the certificate ends that it was opened with, or the machine opens another one, is
// revoked or deleted. A host is refused that came of the same disk image as one that is there. One that was deleted while it was away is told to leave when it comes back.
func (s *Service) Sync(stream syncStream) error {
	var machine facts.Machine
	var refused error
	aside(func() { machine, refused = s.Callers.Machine(stream.Context()) })
	if refused != nil && !errors.Is(refused, refusal.MachineUnknown) {
		return refused
	}
	incoming := receive(stream)
	hello, err := s.awaitHello(stream.Context(), incoming)
	if err != nil {
		return err
	}
	if refused != nil {
		return ending(dismiss(stream, refused))
	}
	var begun begun
	aside(func() { begun, err = s.begin(stream, machine, hello) })
	if err != nil {
		return err
	}
	err = s.serve(stream, incoming, begun.session, begun.feed)
	aside(func() { s.finish(begun, err) })
	return err
}

// begun is a stream with all that goes with it.
type begun struct {
	session *session
	feed    *feed
}

// begin takes a machine in.
func (s *Service) begin(stream syncStream, machine facts.Machine, hello *hawserv1.Hello) (begun, error) {
	if err := s.alone(stream.Context(), machine, hello); err != nil {
		return begun{}, err
	}
	session := newSession(machine.NamespacedName, hello.GetInstance(), firstAddress(hello.GetHost()))
	var book Record
	if err := s.Hub.enter(session, func() {
		book = s.Open(record.Session{
			ID: record.SessionID(hello.GetInstance()), Machine: machine.NamespacedName, UID: machine.UID, Since: s.Now(), Host: hello.GetHost(), Report: hello.GetReport(),
			Ask:        session.ask,
			Superseded: func() { session.end(refusal.New(refusal.SessionReplaced, "machine", machine.NamespacedName)) },
		})
	}); err != nil {
		return begun{}, err
	}
	s.Logger.Info("machine connected", "machine", machine.String(), "agent", hello.GetHost().GetAgentVersion())
	return begun{session, newFeed(s, machine, hello, book, s.Callers.Expiry(stream.Context()))}, nil
}

// finish closes what was begun. Only a stream on which the agent was told to leave ends well.
func (s *Service) finish(b begun, err error) {
	s.Logger.Info("machine disconnected", "machine", b.session.machine.String(), "error", err)
	b.feed.book.Close(err == nil)
	s.Hub.leave(b.session)
}

// serve sends what the machine does not have and records what it reports. All sending is done here, as a stream allows one sender.
func (s *Service) serve(stream syncStream, incoming <-chan message, session *session, feed *feed) error {
	session.feed.Store(feed)
	for {
		var refresh time.Duration
		var err error
		aside(func() { refresh, err = feed.bring(stream) })
		if err != nil {
			return ending(err)
		}
		if err := s.await(stream, incoming, session, feed, refresh); err != nil {
			return err
		}
	}
}

// ending is what a stream ends with: a machine that was told to leave is not refused anything.
func ending(err error) error {
	if over := (*finished)(nil); errors.As(err, &over) {
		return nil
	}
	return err
}

// await returns nil when there may be something to send.
func (s *Service) await(stream syncStream, incoming <-chan message, session *session, feed *feed, refresh time.Duration) error {
	timer := time.NewTimer(refresh)
	defer timer.Stop()
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case reason := <-session.ended:
			return reason
		case question := <-session.questions:
			var err error
			if aside(func() { err = question.put(stream) }); err != nil {
				return err
			}
			session.asked[question.id] = question.answered
		case <-session.wake:
			return nil
		case <-timer.C:
			return nil
		case m := <-incoming:
			if m.err != nil {
				return m.err
			}
			if report := m.request.GetReport(); report != nil {
				aside(func() { feed.book.Report(report) })
			}
			if pong := m.request.GetPong(); pong != nil {
				session.answer(pong)
			}
		}
	}
}

// message is what comes up a stream: a request, or the end.
type message struct {
	request *hawserv1.SyncRequest
	err     error
}

// receive reads a stream until it ends. gRPC ends it when the handler returns, so the goroutine never outlives the connection; the handler cannot
// wait for it, as it is the handler's return that ends it.
func receive(stream syncStream) <-chan message {
	incoming := make(chan message)
	go func() {
		for {
			request, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				err = errClosed
			}
			select {
			case incoming <- message{request, err}:
			case <-stream.Context().Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return incoming
}

// errClosed: the agent has closed its side, which it does when it stops.
var errClosed = errors.New("the agent closed the stream")

func (s *Service) awaitHello(ctx context.Context, incoming <-chan message) (*hawserv1.Hello, error) {
	timer := time.NewTimer(helloPatience)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, s.invalid("the agent opened a stream and did not say hello")
	case m := <-incoming:
		if m.err != nil {
			return nil, m.err
		}
		hello := m.request.GetHello()
		if hello == nil {
			return nil, s.invalid("the first message of a stream is not a hello")
		}
		return hello, nil
	}
}
