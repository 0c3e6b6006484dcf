package manager

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/refusal"
)

func want(t *testing.T, m *metrics, lines ...string) {
	t.Helper()
	page, _ := scrape(t, m)
	for _, line := range lines {
		if !strings.Contains(page, "\n"+line+"\n") {
			name, _, _ := strings.Cut(strings.ReplaceAll(line, "{", " "), " ")
			t.Errorf("no line %s, but\n%s", line, samples(page, name))
		}
	}
}

func TestEnrollments(t *testing.T) {
	m := newCounters()
	m.enrolled("enroll", "ok")
	m.enrolled("enroll", "TokenUsed")
	m.enrolled("renew", "TokenUsed")
	want(t, m, `hawser_manager_enrollments_total{method="enroll",result="ok"} 1`, `hawser_manager_enrollments_total{method="enroll",result="refused"} 1`,
		`hawser_manager_refusals_total{method="renew",reason="TokenUsed"} 1`)
}

func TestWhatIsSent(t *testing.T) {
	m := newCounters()
	meter := m.meter()
	meter.State()
	meter.Token()
	meter.Bytes(1500)
	want(t, m, "hawser_manager_desired_states_sent_total 1", "hawser_manager_istio_tokens_minted_total 1", "hawser_manager_bundle_sent_bytes_total 1500")
}

// service ends calls as it is told, after it has sent what it is told.
type service struct {
	hawserv1.UnimplementedMachineServiceServer
	during func(stream grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse])
	err    error
}

func (s *service) Sync(stream grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]) error {
	if s.during != nil {
		s.during(stream)
	}
	return s.err
}

func (s *service) Leave(context.Context, *hawserv1.LeaveRequest) (*hawserv1.LeaveResponse, error) {
	return nil, s.err
}

func (s *service) ReadArtifact(*hawserv1.ReadArtifactRequest, grpc.ServerStreamingServer[hawserv1.ReadArtifactResponse]) error {
	return s.err
}

// stream takes what is sent and is at its end.
type stream struct {
	grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]
}

func (stream) Send(*hawserv1.SyncResponse) error    { return nil }
func (stream) Recv() (*hawserv1.SyncRequest, error) { return nil, io.EOF }

func TestStreamsAndRefusals(t *testing.T) {
	m := newCounters()
	revoked := refusal.New(refusal.MachineRevoked, "machine", "shop/vm-1")
	for _, s := range []*service{
		{err: revoked},
		{err: context.Canceled},
		{},
		{err: errors.New("over"), during: func(s grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]) { _, _ = s.Recv() }},
	} {
		_ = m.Service(s).Sync(stream{})
	}
	_, _ = m.Service(&service{err: revoked}).Leave(t.Context(), nil)
	_ = m.Service(&service{err: refusal.New(refusal.ArtifactUnknown, "sha256", "x")}).ReadArtifact(nil, nil)
	_ = m.Service(&service{err: errors.New("cut")}).ReadArtifact(nil, nil)
	want(t, m, "hawser_manager_streams_started_total 4", `hawser_manager_streams_ended_total{reason="MachineRevoked"} 1`,
		`hawser_manager_streams_ended_total{reason="Lost"} 1`, `hawser_manager_streams_ended_total{reason="Closed"} 2`,
		`hawser_manager_refusals_total{method="sync",reason="MachineRevoked"} 1`, `hawser_manager_refusals_total{method="leave",reason="MachineRevoked"} 1`,
		`hawser_manager_refusals_total{method="read_artifact",reason="ArtifactUnknown"} 1`)
}

func TestPublishDuration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCounters()
		ctx, cancel := context.WithCancel(t.Context())
		source := make(chan struct{}, 1)
		wake := m.Changed(func(context.Context) <-chan struct{} { return source })(ctx)
		change := func() {
			source <- struct{}{}
			<-wake
		}
		state := &hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_State{State: &hawserv1.DesiredState{}}}
		token := &hawserv1.SyncResponse{Message: &hawserv1.SyncResponse_Token{Token: &hawserv1.IstioToken{}}}
		change()
		during := func(s grpc.BidiStreamingServer[hawserv1.SyncRequest, hawserv1.SyncResponse]) {
			send := func(response *hawserv1.SyncResponse) {
				if err := s.Send(response); err != nil {
					t.Error(err)
				}
			}
			// What it did not have when it came, and a token, are no answers to a change.
			send(state)
			change()
			<-time.After(30 * time.Millisecond)
			send(token)
			send(state)
			// Nor is a second state after the same change.
			<-time.After(time.Hour)
			send(state)
		}
		if err := m.Service(&service{during: during}).Sync(stream{}); err != nil {
			t.Error(err)
		}
		cancel()
		want(t, m, "hawser_manager_publish_duration_seconds_count 1", "hawser_manager_publish_duration_seconds_sum 0.03")
	})
}

// writer fails as it is told.
type writer struct{ err error }

func (w writer) Create(context.Context, client.Object, ...client.CreateOption) error { return w.err }
func (w writer) Update(context.Context, client.Object, ...client.UpdateOption) error { return w.err }
func (w writer) Delete(context.Context, client.Object, ...client.DeleteOption) error { return w.err }

type statusWriter struct{ err error }

func (w statusWriter) Update(context.Context, client.Object, ...client.SubResourceUpdateOption) error {
	return w.err
}

func TestWrites(t *testing.T) {
	m := newCounters()
	conflict := apierrors.NewConflict(schema.GroupResource{}, "vm-1", nil)
	failed := errors.New("no route")
	entry, machine := &istionetworking.WorkloadEntry{}, &v1alpha1.Machine{}
	for _, got := range []error{
		m.Writer(writer{}).Create(t.Context(), entry), m.Writer(writer{conflict}).Update(t.Context(), entry), m.Writer(writer{failed}).Delete(t.Context(), entry),
		m.StatusWriter(statusWriter{}).Update(t.Context(), machine),
	} {
		if got != nil && !errors.Is(got, failed) && !apierrors.IsConflict(got) {
			t.Error(got)
		}
	}
	want(t, m, `hawser_manager_record_writes_total{resource="workloadentries",result="ok",verb="create"} 1`,
		`hawser_manager_record_writes_total{resource="workloadentries",result="conflict",verb="update"} 1`,
		`hawser_manager_record_writes_total{resource="workloadentries",result="error",verb="delete"} 1`,
		`hawser_manager_record_writes_total{resource="machines/status",result="ok",verb="update"} 1`)
}
