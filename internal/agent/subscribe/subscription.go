package subscribe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// Stream is one open Sync call. It ends with the context that it was opened with.
type Stream interface {
	Send(*hawserv1.SyncRequest) error
	Recv() (*hawserv1.SyncResponse, error)
}

// Opener opens streams; peer says where the stream goes.
type Opener interface {
	Open(ctx context.Context) (stream Stream, peer string, closer io.Closer, err error)
}

// Receiver takes what comes down the stream. Its methods must not block for long.
type Receiver interface {
	State(*hawserv1.DesiredState)
	Token(*hawserv1.IstioToken)
	// Removed ends the machine's membership.
	Removed(reason string)
}

// Reporter has what goes up the stream.
type Reporter interface {
	// Hello opens a stream: host, last generation, first report.
	Hello(ctx context.Context) *hawserv1.Hello
	// Report is the newest report.
	Report() *hawserv1.Report
	// Watch returns a channel that receives when there may be a new report, and a function that ends that.
	Watch() (changed <-chan struct{}, stop func())
}

// Observer hears of the connection: err is nil when it is up, else why it is down.
type Observer func(peer string, err error)

// rejudge is how often a report is made without news, since time alone ends certificates.
const rejudge = time.Minute

// settled is how long a stream has to stand before a failure counts as the first one again.
const settled = 10 * time.Second

// silence after which a stream counts as up: a manager that refuses says so at once, one that has nothing new says nothing.
const silence = 500 * time.Millisecond

// Subscription is the machine's stream and the way back to it.
type Subscription struct {
	opener   Opener
	receiver Receiver
	reporter Reporter
	observe  Observer
	log      *slog.Logger

	// instance tells this agent from those of hosts that came of the same disk image, and so have the same identity. It is kept in memory alone.
	instance string

	again chan struct{}

	mutex sync.Mutex
	// drained is closed while the last report that was handed to a stream says draining.
	drained chan struct{}
	closed  bool
}

// New returns a subscription that Run keeps.
func New(opener Opener, receiver Receiver, reporter Reporter, observe Observer, log *slog.Logger) *Subscription {
	return &Subscription{
		opener: opener, receiver: receiver, reporter: reporter, observe: observe, log: log, instance: rand.Text(), again: make(chan struct{}, 1), drained: make(chan struct{}),
	}
}

// Drained is closed once a report that says draining was handed to the stream; when a later one does not, there is another channel.
func (s *Subscription) Drained() <-chan struct{} {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.drained
}

// handed notes what the manager was told.
func (s *Subscription) handed(report *hawserv1.Report) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch draining := report.GetDraining(); {
	case draining && !s.closed:
		close(s.drained)
	case !draining && s.closed:
		s.drained = make(chan struct{})
	default:
		return
	}
	s.closed = !s.closed
}

// Again says that what stood in the way of a stream is gone: the next attempt is made now.
func (s *Subscription) Again() {
	select {
	case s.again <- struct{}{}:
	default:
		// It is about to be made.
	}
}

// Run holds the stream and comes back to it until ctx ends. It returns nil then; it never gives up by itself.
func (s *Subscription) Run(ctx context.Context) error {
	logged := ""
	for failures := 0; ; failures++ {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		// What was said while a stream stood is no reason to hurry: all that lost the same manager would come back together.
		select {
		case <-s.again:
		default:
		}
		s.observe("", err)
		if time.Since(began) > settled {
			failures, logged = 0, ""
		}
		pause := backoff(failures, err)
		if text := err.Error(); text != logged {
			// An outage of hours is one line, as long as its reason stays the same.
			s.log.Warn("no connection to the manager; trying again until there is", "error", err)
			logged = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.again:
			failures = 0
		case <-time.After(pause):
		}
	}
}

// once opens one stream and serves it until it breaks; the error is never nil.
func (s *Subscription) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, peer, closer, err := s.opener.Open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err := closer.Close(); err != nil {
			s.log.Debug("close the connection to the manager", "error", err)
		}
	}()
	// Watching starts before the first report is made, so that no change falls in between.
	changed, stop := s.reporter.Watch()
	defer stop()
	hello := s.reporter.Hello(ctx)
	hello.Instance = s.instance
	if err := stream.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Hello{Hello: hello}}); err != nil {
		return received(stream, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	// The stream was opened with the outer context: it has to end when one direction does.
	context.AfterFunc(ctx, cancel)
	up := sync.OnceFunc(func() { s.observe(peer, nil) })
	pings := make(chan *hawserv1.Ping)
	group.Go(func() error { return s.receive(ctx, stream, up, pings) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-time.After(silence):
			up()
		}
		return nil
	})
	group.Go(func() error { return s.send(ctx, stream, hello.GetReport(), changed, pings) })
	return group.Wait()
}

// received returns the error of the stream's end, which Send hides behind io.EOF.
func received(stream Stream, sending error) error {
	if !errors.Is(sending, io.EOF) {
		return sending
	}
	if _, err := stream.Recv(); err != nil {
		return err
	}
	return sending
}

// receive hands on what comes down; up is called when something does. Pings are for send.
func (s *Subscription) receive(ctx context.Context, stream Stream, up func(), pings chan<- *hawserv1.Ping) error {
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the manager closed the stream")
		}
		if err != nil {
			return err
		}
		if ping := response.GetPing(); ping != nil {
			select {
			case pings <- ping:
			case <-ctx.Done():
			}
			continue
		}
		up()
		switch message := response.GetMessage().(type) {
		case *hawserv1.SyncResponse_State:
			s.receiver.State(message.State)
		case *hawserv1.SyncResponse_Token:
			s.receiver.Token(message.Token)
		case *hawserv1.SyncResponse_Removed:
			s.receiver.Removed(message.Removed.GetReason())
		default:
			// A newer manager says what this agent does not know yet.
			s.log.Warn("message of an unknown kind from the manager")
		}
	}
}

// send sends reports that differ from the last one, and answers pings: a stream allows one sender.
func (s *Subscription) send(ctx context.Context, stream Stream, last *hawserv1.Report, changed <-chan struct{}, pings <-chan *hawserv1.Ping) error {
	clock := time.NewTicker(rejudge)
	defer clock.Stop()
	for {
		s.handed(last)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case ping := <-pings:
			if err := sent(ctx, stream.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Pong{Pong: &hawserv1.Pong{Id: ping.GetId()}}})); err != nil {
				return fmt.Errorf("answer a ping: %w", err)
			}
			continue
		case <-changed:
		case <-clock.C:
		}
		report := s.reporter.Report()
		if proto.Equal(report, last) {
			continue
		}
		if err := sent(ctx, stream.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: report}})); err != nil {
			return fmt.Errorf("send a report: %w", err)
		}
		last = report
	}
}

// sent gives receive the time to tell why the stream has ended, which Send does not know.
func sent(ctx context.Context, err error) error {
	if errors.Is(err, io.EOF) {
		<-ctx.Done()
	}
	return err
}
