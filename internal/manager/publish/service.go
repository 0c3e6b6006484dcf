package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/bundle"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
	"github.com/hawser-io/hawser/internal/refusal"
)

// Callers tells who calls; *caller.Checker is one. Errors are refusals.
type Callers interface {
	// Machine is the machine that calls.
	Machine(ctx context.Context) (facts.Machine, error)
	// Leaving is the machine that calls to leave.
	Leaving(ctx context.Context) (facts.Machine, error)
	// Expiry is when the certificate ends that it calls with.
	Expiry(ctx context.Context) time.Time
}

// Tokens are Istio tokens; *istiotoken.Minter is one.
type Tokens interface {
	Mint(ctx context.Context, machine facts.Machine, serviceAccount string, life time.Duration) (*hawserv1.IstioToken, error)
	// Void tells whether a token that is bound to the Secret with this UID is worth nothing any more.
	Void(ctx context.Context, machine facts.Machine, secret types.UID) (bool, error)
}

// File is the zstd form of a proxy's file; *bundle.Artifact is one.
type File interface {
	io.ReaderAt
	io.Closer
	// Size in bytes.
	Size() int64
}

// Record is the book of a session; *record.Entry is one.
type Record interface {
	Report(*hawserv1.Report)
	Decide(record.Decision)
	Close(dismissed bool)
}

// Options are what a Service works with; all are required but Meter, Elsewhere and Cloned.
type Options struct {
	Hub     *Hub
	Facts   func() facts.Facts
	Callers Callers
	Tokens  Tokens
	// OpenFile opens a proxy's file by the hash of its content. It fails with bundle.ErrUnknown if there is none.
	OpenFile func(sha256 string) (File, error)
	// Open begins the book of a session.
	Open func(record.Session) Record
	// Remove takes a machine out of the mesh for good.
	Remove func(context.Context, facts.Machine) error
	// Elsewhere returns the host that has the machine's stream to another replica, if it is not the one that says hello and is there.
	Elsewhere func(ctx context.Context, machine facts.Machine, hello *hawserv1.Hello) *Rival
	// Cloned tells the machine's owner that the host that says hello was refused, as it is a copy of the machine.
	Cloned func(ctx context.Context, machine facts.Machine, hello *hawserv1.Hello)
	Now    func() time.Time
	Logger *slog.Logger
	// Version of the manager.
	Version string
	Meter   Meter
}

// Meter hears what is sent; nil functions hear nothing.
type Meter struct {
	// State of a generation, Token, and Bytes of files.
	State, Token func()
	Bytes        func(int)
}

// Service is the MachineService.
type Service struct {
	hawserv1.UnimplementedMachineServiceServer
	Options
	states states
	// minting counts the tokens that are being minted.
	minting atomic.Int32
}

// NewService makes the service.
func NewService(options Options) *Service {
	m := &options.Meter
	if m.State == nil {
		m.State = func() {}
	}
	if m.Token == nil {
		m.Token = func() {}
	}
	if m.Bytes == nil {
		m.Bytes = func(int) {}
	}
	if options.Elsewhere == nil {
		options.Elsewhere = func(context.Context, facts.Machine, *hawserv1.Hello) *Rival { return nil }
	}
	if options.Cloned == nil {
		options.Cloned = func(context.Context, facts.Machine, *hawserv1.Hello) {}
	}
	return &Service{Options: options}
}

// Leave takes the calling machine out of the mesh for good. An agent is stopped before its host leaves: if one answers still, then the call is
// of a clone, which has the machine's identity and must not end its membership.
func (s *Service) Leave(ctx context.Context, _ *hawserv1.LeaveRequest) (*hawserv1.LeaveResponse, error) {
	machine, err := s.Callers.Leaving(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.alone(ctx, machine, nil); err != nil {
		return nil, err
	}
	if err := s.Remove(ctx, machine); err != nil {
		s.Logger.Error("machine could not be removed", "machine", machine.String(), "error", err)
		return nil, refusal.New(refusal.ManagerBusy, "action", "remove machine "+machine.String()).Because(err)
	}
	s.Logger.Info("machine left", "machine", machine.String())
	return &hawserv1.LeaveResponse{}, nil
}

// invalid refuses what no agent of this version sends.
func (s *Service) invalid(format string, arguments ...any) error {
	return refusal.New(refusal.RequestInvalid, "error", fmt.Sprintf(format, arguments...), "version", s.Version)
}

// piece is the most that one message of a file holds.
const piece = 256 << 10

// ReadArtifact sends the zstd form of a file from an offset on. Any machine may have any proxy's files: they are the bytes of a public image.
func (s *Service) ReadArtifact(request *hawserv1.ReadArtifactRequest, stream grpc.ServerStreamingServer[hawserv1.ReadArtifactResponse]) error {
	if _, err := s.Callers.Machine(stream.Context()); err != nil {
		return err
	}
	file, err := s.OpenFile(request.GetSha256())
	if errors.Is(err, bundle.ErrUnknown) {
		return refusal.New(refusal.ArtifactUnknown, "sha256", fmt.Sprintf("%.64q", request.GetSha256()))
	}
	if err != nil {
		return refusal.New(refusal.ManagerBusy, "action", "open a proxy's file").Because(err)
	}
	// Only reads are made: there is nothing that closing could lose.
	defer func() { _ = file.Close() }()
	if request.GetOffset() < 0 || request.GetOffset() > file.Size() {
		return s.invalid("offset %d is not within the file's %d bytes", request.GetOffset(), file.Size())
	}
	return s.sendFile(stream, file, request.GetOffset())
}

func (s *Service) sendFile(stream grpc.ServerStreamingServer[hawserv1.ReadArtifactResponse], file File, offset int64) error {
	buffer := make([]byte, min(piece, file.Size()-offset))
	for offset < file.Size() {
		n, err := file.ReadAt(buffer[:min(piece, file.Size()-offset)], offset)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			return refusal.New(refusal.ManagerBusy, "action", "read a proxy's file").Because(err)
		}
		// Send has encoded the message when it returns, so the buffer can be used again.
		if err := stream.Send(&hawserv1.ReadArtifactResponse{Data: buffer[:n]}); err != nil {
			return err
		}
		s.Meter.Bytes(n)
		offset += int64(n)
	}
	return nil
}
