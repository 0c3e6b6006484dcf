package manager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/hawser-io/hawser/internal/manager/publish"
)

// drainPatience is how long machines get to go to another replica. It is less than a Pod's grace period.
const drainPatience = 15 * time.Second

// frontend is what machines talk to. It serves once the facts are there, as an agent that asks earlier would be told nothing right.
type frontend struct {
	address  string
	listener net.Listener
	synced   <-chan struct{}
	changed  func(ctx context.Context) <-chan struct{}
	hub      *publish.Hub
	// server makes the gRPC server; it needs the API server.
	server func(ctx context.Context) (*grpc.Server, error)
	logger *slog.Logger
	ready  atomic.Bool
}

// NeedLeaderElection reports false: every replica serves.
func (f *frontend) NeedLeaderElection() bool { return false }

// Ready is a readiness check.
func (f *frontend) Ready(*http.Request) error {
	if !f.ready.Load() {
		return errors.New("machines are not served")
	}
	return nil
}

// Start serves until ctx ends, then sends the machines to other replicas.
func (f *frontend) Start(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-f.synced:
	}
	server, err := f.server(ctx)
	if err != nil {
		return err
	}
	listener := f.listener
	if listener == nil {
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", f.address); err != nil {
			return fmt.Errorf("listen for machines: %w", err)
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return server.Serve(listener) })
	group.Go(func() error { return f.hub.Run(ctx, f.changed(ctx)) })
	group.Go(func() error {
		<-ctx.Done()
		f.drain(server)
		return nil
	})
	f.ready.Store(true)
	f.logger.Info("machines are served", "address", listener.Addr().String())
	return group.Wait()
}

// drain stops in this order: no probe calls the replica ready, so that no machine is sent here; no connection and no stream is taken
// (GOAWAY); the streams that stand are ended, and the agents come back elsewhere.
func (f *frontend) drain(server *grpc.Server) {
	f.ready.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), drainPatience)
	defer cancel()
	var stopping sync.WaitGroup
	stopping.Go(server.GracefulStop)
	f.hub.Stop(ctx)
	// Downloads get the rest of the time.
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	stopping.Wait()
	f.logger.Info("machines were sent to other managers")
}
