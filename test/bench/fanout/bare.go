package fanout

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/publish"
)

// bareServer is what is left of a manager without what makes it one: the same transport, and streams that all get the same bytes when
// it is told to.
type bareServer struct {
	hawserv1.UnimplementedMachineServiceServer

	mu      sync.Mutex
	streams map[string]chan *hawserv1.SyncResponse
	state   *hawserv1.DesiredState
}

// Sync sends what it is told to, and reads what comes.
func (b *bareServer) Sync(stream grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	out := make(chan *hawserv1.SyncResponse, 1)
	b.mu.Lock()
	b.streams[first.GetHello().GetHost().GetHostname()] = out
	b.mu.Unlock()
	go func() {
		for {
			select {
			case <-stream.Context().Done():
				return
			case response := <-out:
				// A stream that broke is seen by the agent that waits.
				_ = stream.Send(response)
			}
		}
	}()
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

// push sends the state as a new generation to one stream, or to all if the name is empty.
func (b *bareServer) push(name, generation string) {
	state := proto.CloneOf(b.state)
	state.Generation = generation
	response := &hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_State{State: state}}
	b.mu.Lock()
	defer b.mu.Unlock()
	for machine, out := range b.streams {
		if name == "" || machine == name {
			out <- response
		}
	}
}

// ServeBare runs a bare server. It is told all through in, a line each: the CA's certificate and key and a state, in hexadecimal; then
// for each push a generation, followed by a machine's name if it is for one. It writes its address to out, and ends with in.
func ServeBare(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	var given [3][]byte
	for i := range given {
		if !lines.Scan() {
			return fail("read what to serve", errors.Join(lines.Err(), io.ErrUnexpectedEOF))
		}
		if _, err := fmt.Sscanf(lines.Text(), "%x", &given[i]); err != nil {
			return err
		}
	}
	authority, err := ca.Parse(given[0], given[1])
	if err != nil {
		return err
	}
	b := &bareServer{streams: map[string]chan *hawserv1.SyncResponse{}, state: &hawserv1.DesiredState{}}
	if err := proto.Unmarshal(given[2], b.state); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := publish.NewServer(ca.NewServing(authority).Config())
	hawserv1.RegisterMachineServiceServer(server, b)
	var serving sync.WaitGroup
	serving.Go(func() { err = server.Serve(listener) })
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return err
	}
	for lines.Scan() {
		generation, name, _ := strings.Cut(lines.Text(), " ")
		b.push(name, generation)
	}
	server.Stop()
	serving.Wait()
	return errors.Join(err, lines.Err())
}

// bare measures the same pushes from a bare server to the same agents, and gives the figures their baselines.
func (r *run) bare(ctx context.Context) error {
	r.Say("the same bytes from a bare gRPC server")
	r.fleet.stop()
	r.manager.kill()
	authority, err := r.cluster.authority(ctx)
	if err != nil {
		return err
	}
	in, address, end, err := r.startBare(ctx, authority)
	if err != nil {
		return err
	}
	defer end()
	r.fleet.address = address
	r.fleet.start()
	// A bare server sends nothing by itself: a first push shows that all are there.
	if err := pause(ctx, time.Duration(len(r.fleet.agents)/atOnce)*100*time.Millisecond); err != nil {
		return err
	}
	if err := r.pushUntilAll(ctx, in); err != nil {
		return err
	}
	if err := r.pushes(ctx, in, "fanout.all", r.Rounds, all, ""); err != nil {
		return err
	}
	return r.pushes(ctx, in, "fanout.one", 5*r.Rounds, one, " "+loneName)
}

func (r *run) startBare(ctx context.Context, authority *ca.Authority) (in io.Writer, address string, end func(), err error) {
	certificate, key, err := authority.Encode()
	if err != nil {
		return nil, "", nil, err
	}
	state, err := proto.Marshal(r.fleet.sample.Load())
	if err != nil {
		return nil, "", nil, err
	}
	command := exec.CommandContext(ctx, r.Bare[0], r.Bare[1:]...)
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said bytes.Buffer
	command.Stderr = &said
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, "", nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, "", nil, err
	}
	if err := command.Start(); err != nil {
		return nil, "", nil, err
	}
	end = func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
	_, err = fmt.Fprintf(stdin, "%x\n%x\n%x\n", certificate, key, state)
	if err == nil {
		_, err = fmt.Fscanln(stdout, &address)
	}
	if err != nil {
		end()
		return nil, "", nil, fmt.Errorf("start the bare server: %w: %s", err, said.String())
	}
	return stdin, address, end, nil
}

// pushUntilAll pushes until each agent has got one.
func (r *run) pushUntilAll(ctx context.Context, in io.Writer) error {
	for try := 0; r.fleet.pending.Load() > 0; try++ {
		if try == 60 {
			return fmt.Errorf("%d agents are not connected to the bare server", r.fleet.pending.Load())
		}
		if _, err := fmt.Fprintf(in, "first-%d\n", try); err != nil {
			return err
		}
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
	}
	return pause(ctx, calm)
}

func (r *run) pushes(ctx context.Context, in io.Writer, name string, rounds int, which selection, to string) error {
	var delays []time.Duration
	for round := range rounds {
		r.fleet.expect(which)
		began := time.Now()
		if _, err := fmt.Fprintf(in, "%s-%d%s\n", name, round, to); err != nil {
			return err
		}
		if err := r.fleet.wait(ctx, which); err != nil {
			return err
		}
		took := r.fleet.delays(which, began)
		r.Say("bare %s: round %d: p50 %.3f s, p99 %.3f s", name, round+1, quantile(took, 0.5), quantile(took, 0.99))
		delays = append(delays, took...)
		if err := pause(ctx, calm); err != nil {
			return err
		}
	}
	for suffix, q := range map[string]float64{".p50": 0.5, ".p99": 0.99, ".worst": 1} {
		r.compare(name+suffix, quantile(delays, q))
	}
	return nil
}

// compare gives a figure its baseline.
func (r *run) compare(name string, baseline float64) {
	if at := slices.IndexFunc(r.figures, func(f Figure) bool { return f.Name == name }); at >= 0 && !math.IsNaN(baseline) {
		r.figures[at].Baseline = baseline
	}
}
