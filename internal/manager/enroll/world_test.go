package enroll_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/enroll"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

func now() time.Time { return time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC) }

// world is a cluster with group shop/ratings, a token for one host, and a host that is about to use it.
type world struct {
	*testing.T
	clock    time.Time
	cluster  *fakeCluster
	registry *fakeRegistry
	facts    facts.Facts
	caller   fakeCaller
	service  *enroll.Service
	token    jointoken.Token
	key      *ecdsa.PrivateKey
	request  *hawserv1.EnrollRequest
	counted  counter
	log      bytes.Buffer
}

// counter counts results; the service observes from as many goroutines as there are calls.
type counter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) observe(method, result string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[method+" "+result]++
}

func (c *counter) of(method, result string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[method+" "+result]
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: now(), registry: &fakeRegistry{}}
	w.cluster = newFakeCluster(func() time.Time { return w.clock })
	// The cluster that desired's cases start from.
	base := must[[]byte](t)(os.ReadFile("../desired/testdata/base.yaml"))
	w.facts = must[facts.Facts](t)(watch.Collect(watch.Options{}, managertest.Objects(t, string(base))...))
	authority := must[*ca.Authority](t)(ca.Generate(now()))
	w.service = enroll.NewService(enroll.Options{
		Authority: authority, Facts: func() facts.Facts { return w.facts }, Proxies: w.registry, Tokens: w.cluster, Machines: w.cluster, Groups: w.cluster,
		Callers: &w.caller, Admissions: w.cluster, IstioTokens: w.cluster, Now: func() time.Time { return w.clock }, Logger: slog.New(slog.NewTextHandler(&w.log, nil)), Version: "0.1.0",
		Observe: w.counted.observe,
	})
	w.token = w.newToken(func(*v1alpha1.JoinTokenSpec) {})
	w.key, w.request = w.newHost("ratings-vm-1", w.token)
	return w
}

// newToken puts a token for group ratings, for an hour, into the cluster.
func (w *world) newToken(change func(*v1alpha1.JoinTokenSpec)) jointoken.Token {
	token := jointoken.New("shop", identity.Pin{})
	// Names in golden files are to be the same each time.
	token.Name = []string{"firsttoken", "nexttoken0", "thirdtoken"}[len(w.cluster.tokens)]
	object := &v1alpha1.JoinToken{
		ObjectMeta: meta.ObjectMeta{Namespace: token.Namespace, Name: token.Name, ResourceVersion: "0"},
		Spec:       v1alpha1.JoinTokenSpec{Group: "ratings", SecretHash: token.Hash(), ExpiresAt: meta.NewTime(now().Add(time.Hour)), MaxUses: 1},
	}
	change(&object.Spec)
	w.cluster.tokens[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}] = object
	return token
}

func (w *world) changeToken(change func(*v1alpha1.JoinToken)) {
	change(w.cluster.tokens[types.NamespacedName{Namespace: w.token.Namespace, Name: w.token.Name}])
}

func (w *world) newHost(name string, token jointoken.Token) (*ecdsa.PrivateKey, *hawserv1.EnrollRequest) {
	w.Helper()
	key := must[*ecdsa.PrivateKey](w.T)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return key, &hawserv1.EnrollRequest{
		Token: token.Reveal(),
		Csr:   w.csr(key),
		Host: &hawserv1.HostFacts{
			Hostname: name, MachineId: "id-of-" + name, Architecture: "amd64", GlibcVersion: "2.36",
			Addresses: []string{"172.31.0.11"}, UnixTime: now().Unix(),
		},
	}
}

func (w *world) csr(key *ecdsa.PrivateKey) []byte {
	w.Helper()
	return must[[]byte](w.T)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key))
}

func (w *world) enroll() (*hawserv1.EnrollResponse, error) {
	return w.service.Enroll(context.Background(), w.request)
}

// joined is a machine that is in the cluster already, with another key.
func (w *world) joined(change func(*v1alpha1.Machine)) {
	w.Helper()
	machine := &v1alpha1.Machine{
		ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings-vm-1"},
		Spec:       v1alpha1.MachineSpec{Group: "ratings", KeyFingerprint: "0ther0ther", MachineID: "another"},
	}
	if err := w.cluster.CreateMachine(context.Background(), machine); err != nil {
		w.Fatal(err)
	}
	machine.CreationTimestamp = meta.NewTime(now().Add(-time.Hour))
	change(machine)
	w.cluster.machines[types.NamespacedName{Namespace: "shop", Name: "ratings-vm-1"}] = machine
}

func connected(machine *v1alpha1.Machine) {
	machine.Status.Connection = &v1alpha1.MachineConnection{Manager: "hawser-manager-0", Session: "s"}
	machine.Status.Conditions = []meta.Condition{{Type: v1alpha1.ConditionConnected, Status: meta.ConditionTrue}}
}

// fakeCaller is who calls Renew.
type fakeCaller struct {
	machine   facts.Machine
	admission identity.Admission
	err       error
}

var _ enroll.Callers = (*fakeCaller)(nil)

func (f *fakeCaller) Renewing(context.Context) (facts.Machine, error) { return f.machine, f.err }

func (f *fakeCaller) Admission(context.Context) identity.Admission { return f.admission }
