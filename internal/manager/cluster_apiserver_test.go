//go:build apiserver

package manager_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/manager"
	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/managertest"
)

// patience bounds what is waited for.
const patience = 30 * time.Second

// cluster is an API server with an Istio, a registry, and a group of machines.
type cluster struct {
	*testing.T
	config *rest.Config
	client client.Client
	// images is the registry's host and port; it wants a password while password is set.
	images   string
	password *atomic.Bool
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{T: t, config: managertest.StartAPIServer(t), password: &atomic.Bool{}}
	var err error
	if c.client, err = client.New(c.config, client.Options{Scheme: managertest.Scheme(t)}); err != nil {
		t.Fatal(err)
	}
	for _, namespace := range []string{"hawser-system", "istio-system", "shop"} {
		c.create(&core.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespace}})
	}
	for _, role := range managertest.ChartRoles(t) {
		c.create(role)
	}
	text := strings.ReplaceAll(objects, "REGISTRY", c.registry())
	for _, object := range managertest.Objects(t, text) {
		c.create(object)
	}
	gateway := &core.Service{ObjectMeta: meta.ObjectMeta{Namespace: "istio-system", Name: "eastwestgateway"}}
	c.get(gateway)
	gateway.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{IP: "172.31.0.240"}}
	if err := c.client.Status().Update(t.Context(), gateway); err != nil {
		t.Fatal(err)
	}
	return c
}

const objects = `apiVersion: v1
kind: ConfigMap
metadata: {namespace: istio-system, name: istio}
data: {mesh: "trustDomain: cluster.local"}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: istio-system, name: istio-sidecar-injector}
data: {values: '{"global": {"hub": "REGISTRY/istio", "tag": "1.31.4"}}'}
---
apiVersion: v1
kind: ConfigMap
metadata: {namespace: shop, name: istio-ca-root-cert}
data: {root-cert.pem: roots}
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: shop, name: ratings}
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {namespace: shop, name: ratings}
spec: {metadata: {labels: {app: ratings}}, template: {serviceAccount: ratings, network: vm-net, ports: {http: 8080}}}
---
apiVersion: v1
kind: Service
metadata: {namespace: istio-system, name: eastwestgateway, labels: {istio: eastwestgateway}}
spec: {type: LoadBalancer, ports: [{name: tls-istiod, port: 15012}]}`

// registry serves an image with a proxy in it, and returns its host.
func (c *cluster) registry() string {
	c.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if user, password, _ := request.BasicAuth(); c.password.Load() && (user != "mesh" || password != "s3cret") {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, request)
	}))
	c.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	c.images = host
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for path, content := range map[string]string{
		"usr/local/bin/pilot-agent": "#!/bin/sh\n# pilot-agent\n", "usr/local/bin/envoy": "#!/bin/sh\n# envoy\n",
		"var/lib/istio/envoy/envoy_bootstrap_tmpl.json": "{}",
	} {
		if err := writer.WriteHeader(&tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}); err != nil {
			c.Fatal(err)
		}
		if _, err := io.WriteString(writer, content); err != nil {
			c.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		c.Fatal(err)
	}
	layer := must[containerregistry.Layer](c)(tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}))
	image := must[containerregistry.Image](c)(mutate.ConfigFile(empty.Image, &containerregistry.ConfigFile{OS: "linux", Architecture: "amd64"}))
	image = must[containerregistry.Image](c)(mutate.AppendLayers(image, layer))
	if err := remote.Write(must[name.Reference](c)(name.ParseReference(host+"/istio/proxyv2:1.31.4")), image); err != nil {
		c.Fatal(err)
	}
	return host
}

// replica is a running manager.
type replica struct {
	address string
	stop    func()
}

// manager starts one, with the rights that the chart gives it, and puts it among the Service's endpoints, as nothing else does here.
func (c *cluster) manager(pod string) *replica {
	c.Helper()
	listener := must[net.Listener](c)(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := &watchedLog{}
	go func() {
		done <- manager.Run(ctx, manager.Options{
			Config: managertest.AsManager(c.config), Namespace: "hawser-system", Pod: pod, Service: "hawser-manager", CacheDir: c.TempDir(), Listener: listener,
			HealthAddress: "0", MetricsAddress: "0", Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})).With("pod", pod),
		})
	}()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			c.Errorf("manager %s: %v", pod, err)
		}
		if log.forbidden.Load() {
			c.Errorf("manager %s was refused something that its chart should let it do", pod)
		}
	}
	c.Cleanup(stop)
	ready := true
	c.create(&discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Namespace: "hawser-system", Name: pod, Labels: map[string]string{discovery.LabelServiceName: "hawser-manager"}},
		AddressType: discovery.AddressTypeIPv4,
		Endpoints: []discovery.Endpoint{{
			Addresses: []string{"10.0.0.1"}, Conditions: discovery.EndpointConditions{Ready: &ready}, TargetRef: &core.ObjectReference{Kind: "Pod", Name: pod},
		}},
	})
	return &replica{address: listener.Addr().String(), stop: stop}
}

// watchedLog shows what managers log, and sees when the API server refuses them something.
type watchedLog struct{ forbidden atomic.Bool }

func (l *watchedLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("forbidden")) {
		l.forbidden.Store(true)
	}
	return os.Stderr.Write(line)
}

// info waits until the manager has announced itself.
func (c *cluster) info() (pin identity.Pin, address string) {
	c.Helper()
	var info core.ConfigMap
	info.Namespace, info.Name = "hawser-system", ca.ConfigMapName
	c.eventually("the manager announces itself", func() bool {
		return c.client.Get(c.Context(), client.ObjectKeyFromObject(&info), &info) == nil && info.Data[ca.KeyManager] != ""
	})
	return must[identity.Pin](c)(identity.ParsePin(info.Data[ca.KeyPin])), info.Data[ca.KeyManager]
}

// token makes one for a machine of group ratings, for an hour, unless it is changed.
func (c *cluster) token(pin identity.Pin, changes ...func(*v1alpha1.JoinToken)) jointoken.Token {
	c.Helper()
	token := jointoken.New("shop", pin)
	object := &v1alpha1.JoinToken{
		ObjectMeta: meta.ObjectMeta{Namespace: token.Namespace, Name: token.Name},
		Spec:       v1alpha1.JoinTokenSpec{Group: "ratings", SecretHash: token.Hash(), ExpiresAt: meta.NewTime(time.Now().Add(time.Hour)), MaxUses: 1},
	}
	for _, change := range changes {
		change(object)
	}
	c.create(object)
	return token
}

// host is a machine as far as a manager sees it.
type host struct {
	c    *cluster
	name string
	key  *ecdsa.PrivateKey
	pin  identity.Pin
	// certificate is nil until it joined.
	certificate *tls.Certificate
}

func (c *cluster) host(name string, pin identity.Pin) *host {
	c.Helper()
	return &host{c: c, name: name, pin: pin, key: must[*ecdsa.PrivateKey](c)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

func (h *host) dial(r *replica) *grpc.ClientConn {
	h.c.Helper()
	config := identity.PinnedTLS(h.pin)
	if h.certificate != nil {
		config.Certificates = []tls.Certificate{*h.certificate}
	}
	connection := must[*grpc.ClientConn](h.c)(grpc.NewClient("passthrough:///"+r.address, grpc.WithTransportCredentials(credentials.NewTLS(config))))
	h.c.Cleanup(func() { _ = connection.Close() })
	return connection
}

func (h *host) facts() *hawserv1.HostFacts {
	return &hawserv1.HostFacts{
		Hostname: h.name, MachineId: h.name, Architecture: "amd64", GlibcVersion: "2.36", AgentVersion: "test", Addresses: []string{"172.31.0.11"},
		UnixTime: time.Now().Unix(),
	}
}

func (h *host) join(ctx context.Context, r *replica, token jointoken.Token) error {
	return h.enroll(ctx, r, token.Reveal(), h.facts())
}

func (h *host) enroll(ctx context.Context, r *replica, token string, facts *hawserv1.HostFacts) error {
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, h.key)
	if err != nil {
		return err
	}
	response, err := hawserv1.NewEnrollmentServiceClient(h.dial(r)).Enroll(ctx, &hawserv1.EnrollRequest{Token: token, Csr: csr, Host: facts})
	if err != nil {
		return err
	}
	h.certificate = &tls.Certificate{Certificate: response.GetCertificateChain(), PrivateKey: h.key}
	return nil
}

// sync opens the machine's stream; the agent has the generation and a token, unless the generation is empty.
func (h *host) sync(ctx context.Context, r *replica, generation string) hawserv1.MachineService_SyncClient {
	h.c.Helper()
	stream := must[hawserv1.MachineService_SyncClient](h.c)(hawserv1.NewMachineServiceClient(h.dial(r)).Sync(ctx))
	hello := &hawserv1.Hello{Host: h.facts(), Generation: generation, Report: h.report(generation)}
	if generation != "" {
		hello.TokenExpiry = time.Now().Add(20 * time.Hour).Unix()
	}
	if err := stream.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Hello{Hello: hello}}); err != nil {
		h.c.Fatal(err)
	}
	return stream
}

func (h *host) report(generation string) *hawserv1.Report {
	return &hawserv1.Report{AppliedGeneration: generation, Healthy: generation != "", Proxy: &hawserv1.ProxyStatus{Version: "1.31.4", Slot: "a", Ready: generation != ""}}
}

func (c *cluster) create(object client.Object) {
	c.Helper()
	if err := c.client.Create(c.Context(), object); err != nil {
		c.Fatalf("create %T %s: %v", object, object.GetName(), err)
	}
}

func (c *cluster) get(object client.Object) {
	c.Helper()
	if err := c.client.Get(c.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) eventually(what string, is func() bool) {
	c.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		c.Fatalf("it does not come to be that %s", what)
	}
}

// condition returns the status of a Machine's condition, "" if there is none.
func (c *cluster) condition(machine, kind string) string {
	var object v1alpha1.Machine
	if err := c.client.Get(context.Background(), client.ObjectKey{Namespace: "shop", Name: machine}, &object); err != nil {
		return ""
	}
	for _, condition := range object.Status.Conditions {
		if condition.Type == kind {
			return string(condition.Status)
		}
	}
	return ""
}

// health returns what the machine's WorkloadEntry says, "none" if there is no entry.
func (c *cluster) health(machine string) string {
	var entry istionetworking.WorkloadEntry
	if err := c.client.Get(context.Background(), client.ObjectKey{Namespace: "shop", Name: machine}, &entry); err != nil {
		return "none"
	}
	for _, condition := range entry.Status.GetConditions() {
		if condition.GetType() == "Healthy" {
			return condition.GetStatus()
		}
	}
	return ""
}

func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
