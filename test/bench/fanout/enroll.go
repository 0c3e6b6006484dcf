package fanout

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	networking "istio.io/api/networking/v1"
	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/ca"
)

// loneName is a group, and its only machine.
const loneName = "lone"

// writers make objects at the same time.
const writers = 16

// enroll makes groups, and machines with certificates of the manager's own CA, as enrolling does.
func (c *cluster) enroll(ctx context.Context, f *fleet, agents, groups int) error {
	if err := c.makeGroup(ctx, loneName); err != nil {
		return err
	}
	for i := range groups {
		if err := c.makeGroup(ctx, groupName(i)); err != nil {
			return err
		}
	}
	authority, err := c.authority(ctx)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.Certificate())
	f.agents = make([]*agent, agents)
	making, ctx := errgroup.WithContext(ctx)
	making.SetLimit(writers)
	for i := range f.agents {
		name, group := fmt.Sprintf("vm-%05d", i), groupName(i%groups)
		if i == 0 {
			name, group = loneName, loneName
		}
		making.Go(func() error {
			certificate, err := c.join(ctx, authority, name, group)
			config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: identity.ManagerServerName, Certificates: []tls.Certificate{certificate}}
			f.agents[i] = &agent{name: name, account: group, config: config, fleet: f, news: make(chan struct{}, 1)}
			return err
		})
	}
	return making.Wait()
}

// authority is the one that the manager made.
func (c *cluster) authority(ctx context.Context) (*ca.Authority, error) {
	return ca.LoadOrCreate(ctx, c.clientset.CoreV1().Secrets(hawserNamespace), time.Now())
}

// join makes a machine's object and its certificate.
func (c *cluster) join(ctx context.Context, authority *ca.Authority, name, group string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	fingerprint, err := identity.Fingerprint(&key.PublicKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	signed, err := authority.SignMachine(identity.Machine{Namespace: meshNamespace, Name: name}, identity.Admission{}, &key.PublicKey, time.Now(), 24*time.Hour)
	if err != nil {
		return tls.Certificate{}, err
	}
	machine := &v1alpha1.Machine{
		ObjectMeta: meta.ObjectMeta{Namespace: meshNamespace, Name: name},
		Spec:       v1alpha1.MachineSpec{Group: group, KeyFingerprint: fingerprint, MachineID: name},
	}
	return tls.Certificate{Certificate: [][]byte{signed.Raw}, PrivateKey: key, Leaf: signed}, c.client.Create(ctx, machine)
}

func groupName(i int) string { return fmt.Sprintf("group-%d", i) }

// makeGroup makes a group and the ServiceAccount that its machines' tokens are of.
func (c *cluster) makeGroup(ctx context.Context, name string) error {
	if err := c.client.Create(ctx, &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Namespace: meshNamespace, Name: name}}); err != nil {
		return err
	}
	return c.client.Create(ctx, group(name))
}

func group(name string) *istionetworking.WorkloadGroup {
	return &istionetworking.WorkloadGroup{
		ObjectMeta: meta.ObjectMeta{Namespace: meshNamespace, Name: name},
		Spec: networking.WorkloadGroup{
			Metadata: &networking.WorkloadGroup_ObjectMeta{Labels: map[string]string{"app": name}},
			Template: &networking.WorkloadEntry{ServiceAccount: name, Network: "vm-net", Ports: map[string]uint32{"http": 8080}},
		},
	}
}
