package publish_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/bundle"
	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/caller"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/publish"
	"github.com/hawser-io/hawser/internal/manager/watch"
	"github.com/hawser-io/hawser/internal/refusal"
)

// patience bounds what is waited for; nothing takes that long unless it is broken.
const patience = 20 * time.Second

// world is a manager that serves machines over TLS on loopback, and the cluster that it knows.
type world struct {
	*testing.T
	authority *ca.Authority
	address   string
	hub       *publish.Hub
	changed   chan struct{}
	book      *fakeBook
	file      []byte
	log       managertest.Log

	mu      sync.Mutex
	facts   facts.Facts
	removed []string
	// cloned are the clones that were told of; elsewhere has the addresses of machines that have a stream to another replica.
	cloned    []string
	elsewhere map[string]string
	minted    int
	// mintErr is the error of minting.
	mintErr error
	// admission that certificates say, and whether machines cannot be taken back as their group is gone.
	admission identity.Admission
	groupGone bool
}

var (
	_ caller.Machines    = (*world)(nil)
	_ caller.Readmission = (*world)(nil)
	_ publish.Tokens     = (*world)(nil)
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, hub: publish.NewHub(), changed: make(chan struct{}, 1), book: newFakeBook()}
	var err error
	if w.authority, err = ca.Generate(time.Now()); err != nil {
		t.Fatal(err)
	}
	base, err := os.ReadFile("../desired/testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if w.facts, err = watch.Collect(watch.Options{}, managertest.Objects(t, string(base))...); err != nil {
		t.Fatal(err)
	}
	w.facts.Machines = map[types.NamespacedName]facts.Machine{}
	w.facts.Proxies = map[facts.ProxyKey]facts.ProxyState{}
	for _, group := range w.facts.Groups {
		image, problem := w.facts.ProxyImageOf(group)
		if problem != nil {
			t.Fatal(problem)
		}
		key := facts.ProxyKey{Image: image, Architecture: "amd64"}
		w.facts.Proxies[key] = facts.ProxyState{Proxy: &facts.Proxy{ProxyKey: key, Digest: "sha256:d", Version: "1.31.4"}}
	}
	w.serve()
	return w
}

func (w *world) serve() {
	w.Helper()
	service := publish.NewService(publish.Options{
		Hub: w.hub, Facts: w.snapshot, Callers: caller.NewChecker(w.snapshot, w, w, time.Now), Tokens: w,
		OpenFile: w.open, Open: w.book.open, Remove: w.remove, Elsewhere: w.heldElsewhere,
		Cloned: w.told, Now: time.Now, Version: "0.1.0", Logger: slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	server := publish.NewServer(ca.NewServing(w.authority).Config())
	hawserv1.RegisterMachineServiceServer(server, service)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.address = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); err != nil {
			w.Errorf("serve: %v", err)
		}
	})
	running.Go(func() {
		if err := w.hub.Run(ctx, w.changed); err != nil {
			w.Errorf("hub: %v", err)
		}
	})
	w.Cleanup(func() {
		cancel()
		server.Stop()
		running.Wait()
	})
}

func (w *world) snapshot() facts.Facts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.facts
}

// change makes newer facts and tells of them.
func (w *world) change(apply func(f *facts.Facts)) {
	w.mu.Lock()
	apply(&w.facts)
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// setMachine replaces the map of machines, as snapshots are never changed.
func (w *world) setMachine(name string, change func(m *facts.Machine) bool) {
	w.change(func(f *facts.Facts) {
		machines := map[types.NamespacedName]facts.Machine{}
		for key, machine := range f.Machines {
			if key.Name != name || change(&machine) {
				machines[key] = machine
			}
		}
		f.Machines = machines
	})
}

func (w *world) Machine(_ context.Context, key types.NamespacedName) (facts.Machine, error) {
	if machine, ok := w.snapshot().Machines[key]; ok {
		return machine, nil
	}
	return facts.Machine{}, apierrors.NewNotFound(schema.GroupResource{Resource: "machines"}, key.Name)
}

func (w *world) Mint(_ context.Context, machine facts.Machine, account string, _ time.Duration) (*hawserv1.IstioToken, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mintErr != nil {
		return nil, w.mintErr
	}
	w.minted++
	return &hawserv1.IstioToken{Token: fmt.Sprintf("%s of %s", account, machine.NamespacedName), Expiry: time.Now().Add(24 * time.Hour).Unix()}, nil
}

// Void: the Secret of each machine is the one that it was first.
func (w *world) Void(_ context.Context, _ facts.Machine, secret types.UID) (bool, error) {
	return secret != "first", nil
}

// Readmit takes a machine back that has a stamp, as a Machine of another UID.
func (w *world) Readmit(_ context.Context, candidate facts.Machine, _ identity.Stamp) (facts.Machine, bool, error) {
	if w.groupGone {
		return facts.Machine{}, false, refusal.New(refusal.MachineForgotten, "machine", candidate.NamespacedName, "group", candidate.GroupKey())
	}
	candidate.UID = "anew"
	w.put(candidate)
	return candidate, true, nil
}

func (w *world) remove(_ context.Context, machine facts.Machine) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed = append(w.removed, machine.String())
	return nil
}

func (w *world) heldElsewhere(_ context.Context, machine facts.Machine, _ *hawserv1.Hello) *publish.Rival {
	if address, ok := w.elsewhere[machine.Name]; ok {
		return &publish.Rival{Address: address}
	}
	return nil
}

func (w *world) open(sha256 string) (publish.File, error) {
	if sha256 != "f11e" {
		return nil, bundle.ErrUnknown
	}
	return memory{bytes.NewReader(w.file)}, nil
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// join makes a machine of group ratings and the connection of its agent, with a certificate that is valid for life.
func (w *world) join(name string, life time.Duration) hawserv1.MachineServiceClient {
	w.Helper()
	return w.dial(w.certify(name, life))
}

// certify makes a machine and its certificate; with a negative life it expired that long ago.
func (w *world) certify(name string, life time.Duration) *tls.Certificate {
	w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	fingerprint, err := identity.Fingerprint(&key.PublicKey)
	if err != nil {
		w.Fatal(err)
	}
	machine := facts.Machine{
		NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}, UID: types.UID("uid-" + name), Group: "ratings", KeyFingerprint: fingerprint,
	}
	w.put(machine)
	made := time.Now()
	if life < 0 {
		made = made.Add(2 * life)
	}
	certificate, err := w.authority.SignMachine(identity.Machine{Namespace: "shop", Name: name}, w.admission, &key.PublicKey, made, life.Abs())
	if err != nil {
		w.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key}
}

// put adds a machine to the cluster, or replaces it.
func (w *world) put(machine facts.Machine) {
	w.change(func(f *facts.Facts) {
		machines := maps.Clone(f.Machines)
		machines[machine.NamespacedName] = machine
		f.Machines = machines
	})
}

// dial connects with the certificate, or without one.
func (w *world) dial(certificate *tls.Certificate) hawserv1.MachineServiceClient {
	w.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(w.authority.Certificate())
	config := &tls.Config{RootCAs: roots, ServerName: identity.ManagerServerName}
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	connection, err := grpc.NewClient("passthrough:///"+w.address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := connection.Close(); err != nil {
			w.Errorf("close: %v", err)
		}
	})
	return hawserv1.NewMachineServiceClient(connection)
}

func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.Cleanup(cancel)
	return ctx
}

// stream opens a Sync stream and says hello.
func (w *world) stream(client hawserv1.MachineServiceClient, generation string) *stream {
	w.Helper()
	return w.opened(client, &hawserv1.Hello{
		Generation: generation, Host: &hawserv1.HostFacts{Architecture: "amd64", Addresses: []string{"172.31.0.11"}}, Report: &hawserv1.Report{},
	})
}

func (w *world) opened(client hawserv1.MachineServiceClient, hello *hawserv1.Hello) *stream {
	w.Helper()
	opened, err := client.Sync(w.context())
	if err != nil {
		w.Fatal(err)
	}
	s := &stream{w, opened}
	s.send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Hello{Hello: hello}})
	return s
}

type stream struct {
	w *world
	grpc.BidiStreamingClient[hawserv1.SyncRequest, hawserv1.SyncResponse]
}

// send fails the test but for io.EOF: then the stream has ended already, and what comes down next is why.
func (s *stream) send(request *hawserv1.SyncRequest) {
	s.w.Helper()
	if err := s.Send(request); err != nil && !errors.Is(err, io.EOF) {
		s.w.Fatal(err)
	}
}

// next shows what comes down.
func (s *stream) next() string {
	response, err := s.Recv()
	switch message := response.GetMessage().(type) {
	case *hawserv1.SyncResponse_State:
		return fmt.Sprintf("state of %s with token %q", message.State.GetMachine().GetName(), message.State.GetToken().GetToken())
	case *hawserv1.SyncResponse_Token:
		return fmt.Sprintf("token %q", message.Token.GetToken())
	case *hawserv1.SyncResponse_Removed:
		return "removed: " + message.Removed.GetReason()
	}
	return fmt.Sprint(err)
}

// state returns the next message, which has to be a state.
func (s *stream) state() *hawserv1.DesiredState {
	s.w.Helper()
	response, err := s.Recv()
	if err != nil || response.GetState() == nil {
		s.w.Fatalf("got %v, %v; want a state", response, err)
	}
	return response.GetState()
}
