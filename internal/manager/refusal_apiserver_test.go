//go:build apiserver

package manager_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/refusal"
)

// badJoin is a join that goes wrong, and what its user reads.
type badJoin struct {
	name string
	// prepare returns the token; it may change the cluster and what the host says of itself.
	prepare func(b *bad) (token string)
	// want is the whole text. {token} stands for the token's ID, {images} for the registry, {host} and {manager} for their clocks.
	want string
	// heal does what the text says to, if that can be done here; then the same host joins with the same token.
	heal func(b *bad)
}

// bad is a cluster with one manager, and a host that is about to join it.
type bad struct {
	*cluster
	manager *replica
	pin     identity.Pin
	vm      *host
	says    *hawserv1.HostFacts
	id      string
}

func (b *bad) made(changes ...func(*v1alpha1.JoinToken)) string {
	token := b.token(b.pin, changes...)
	b.id = token.ID()
	return token.Reveal()
}

// madeFor is a token for a new group whose machines run the image.
func (b *bad) madeFor(group, image string) string {
	for _, object := range managertest.Objects(b.T, fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {namespace: shop, name: %s}
spec: {metadata: {annotations: {sidecar.istio.io/proxyImage: "%s/istio/proxyv2:%s"}}, template: {serviceAccount: ratings}}`, group, b.images, image)) {
		b.create(object)
	}
	return b.made(func(o *v1alpha1.JoinToken) { o.Spec.Group = group })
}

// patch changes an object of namespace shop as kubectl patch does.
func (b *bad) patch(object client.Object, name, change string, arguments ...any) {
	b.Helper()
	object.SetNamespace("shop")
	object.SetName(name)
	if err := b.client.Patch(b.Context(), object, client.RawPatch(client.Merge.Type(), fmt.Appendf(nil, change, arguments...))); err != nil {
		b.Fatal(err)
	}
}

func (b *bad) follow(group, image string) {
	b.Helper()
	b.patch(&istionetworking.WorkloadGroup{}, group, `{"spec": {"metadata": {"annotations": {"sidecar.istio.io/proxyImage": "%s/istio/proxyv2:%s"}}}}`, b.images, image)
}

const another = ": create another token with `hawser token create --group shop/ratings`"

func badTokens() []badJoin {
	return []badJoin{
		{"token-truncated", func(b *bad) string { return b.made()[:50] },
			"the join token cannot be read: the join token is cut off at its end: copy all of it, it is a single word: copy the whole line that `hawser token create` printed", nil},
		{"token-forged", func(b *bad) string {
			known := b.token(b.pin)
			forged := jointoken.New("shop", b.pin)
			forged.Name, b.id = known.Name, known.ID()
			return forged.Reveal()
		}, "join token {token} exists, but its secret is another one: use the token exactly as `hawser token create` printed it, or create another", nil},
		{"token-of-another-cluster", func(b *bad) string {
			foreign := jointoken.New("shop", b.pin)
			b.id = foreign.ID()
			return foreign.Reveal()
		}, "there is no join token {token} in this cluster: check that the token is of this cluster and was not deleted, or create another with `hawser token create`", nil},
		{"token-expired", func(b *bad) string {
			return b.made(func(o *v1alpha1.JoinToken) {
				o.Spec.ExpiresAt = meta.NewTime(time.Date(2026, 8, 1, 10, 0, 0, 0, time.UTC))
			})
		}, "join token {token} expired at 2026-08-01T10:00:00Z" + another, nil},
		{"token-revoked", func(b *bad) string {
			token := b.made()
			_, name, _ := strings.Cut(b.id, ".")
			b.patch(&v1alpha1.JoinToken{}, name, `{"spec": {"revoked": true}}`)
			return token
		}, "join token {token} was revoked" + another, nil},
		{"token-used", func(b *bad) string {
			token, first := b.made(), b.host("first", b.pin)
			if err := first.enroll(b.Context(), b.manager, token, first.facts()); err != nil {
				b.Fatal(err)
			}
			return token
		}, "join token {token} is used up: first joined with it" + another + "; each host needs its own, unless it was made with --uses", nil},
	}
}

func badHosts() []badJoin {
	return []badJoin{
		{"hostname-illegal", func(b *bad) string { b.says.Hostname = "my_host"; return b.made() },
			"the hostname \"my_host\" cannot name a machine: it may hold only letters, digits, '-' and '.', and each part between dots begins and ends with a letter or digit: " +
				"set another with `hostnamectl set-hostname NAME` and join again",
			func(b *bad) { b.says.Hostname = "my-host" }},
		{"hostname-of-a-live-machine", func(b *bad) string {
			live := b.host("live", b.pin)
			if err := live.join(b.Context(), b.manager, b.token(b.pin)); err != nil {
				b.Fatal(err)
			}
			nextState(b.T, live.sync(b.Context(), b.manager, ""))
			b.eventually("the other machine is connected", func() bool { return b.condition("live", v1alpha1.ConditionConnected) == "True" })
			b.says.Hostname = "live"
			return b.made()
		}, "machine shop/live has joined with another key and is connected, or was so less than a minute ago: give this host another hostname " +
			"(`hostnamectl set-hostname NAME`); if the other host is gone for good, wait a minute and join again; `hawser describe machine live -n shop` shows it",
			func(b *bad) { b.says.Hostname = "lively" }},
		{"clock-an-hour-late", func(b *bad) string { b.says.UnixTime = time.Now().Add(-time.Hour).Unix(); return b.made() },
			"this host's clock says {host} and the manager's says {manager}: set the clock (`timedatectl set-ntp true`) and join again",
			func(b *bad) { b.says.UnixTime = time.Now().Unix() }},
	}
}

func badClusters() []badJoin {
	const noGroup = " does not exist: create it, or create a token for another group (`hawser get groups`)"
	return []badJoin{
		{"group-unknown", func(b *bad) string { return b.made(func(o *v1alpha1.JoinToken) { o.Spec.Group = "nobody" }) },
			"the WorkloadGroup shop/nobody" + noGroup, nil},
		{"image-missing", func(b *bad) string { return b.madeFor("missing", "9.9.9") },
			"image {images}/istio/proxyv2:9.9.9 does not exist in its registry: push it, or correct hub and tag of the Istio revision",
			func(b *bad) { b.follow("missing", "1.31.4") }},
		{"image-unauthorised", func(b *bad) string { b.password.Store(true); return b.madeFor("unauthorised", "1.31.5") },
			"the registry does not let the manager pull image {images}/istio/proxyv2:1.31.5 (HTTP status 401): name a pull secret for the registry in the manager's chart " +
				"(registry.pullSecret), and check that the image exists: some registries answer like this when it does not",
			func(b *bad) { b.password.Store(false); b.follow("unauthorised", "1.31.4") }},
		{"group-deleted", func(b *bad) string {
			// There is no such image, so that nobody joins before the manager sees that the group is gone.
			token := b.madeFor("doomed", "9.9.9")
			if err := b.client.Delete(b.Context(), &istionetworking.WorkloadGroup{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "doomed"}}); err != nil {
				b.Fatal(err)
			}
			return token
		}, "the WorkloadGroup shop/doomed" + noGroup, nil},
	}
}

// Each bad join, over the wire and with a real API server and registry, ends with a text that says what to do next, and nothing of the
// machine is made. Where the user can do it here, the same host joins afterwards.
func TestBadJoins(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	m := c.manager("manager-0")
	pin, _ := c.info()
	for _, join := range append(badTokens(), append(badHosts(), badClusters()...)...) {
		t.Run(join.name, func(t *testing.T) {
			own := *c
			own.T = t
			b := &bad{cluster: &own, manager: m, pin: pin, vm: own.host(join.name, pin)}
			b.says = b.vm.facts()
			token := join.prepare(b)
			b.refused(ctx, token, join.want)
			b.nothingMade(ctx, join.name)
			if join.heal != nil {
				join.heal(b)
				b.eventually("the host joins after that", func() bool { return b.vm.enroll(ctx, m, token, b.says) == nil })
			}
		})
	}
}

// refused wants the join to be refused with the text, as soon as the manager has seen what changed in the cluster.
func (b *bad) refused(ctx context.Context, token, text string) {
	b.Helper()
	want := strings.NewReplacer("{token}", b.id, "{images}", b.images, "{host}", time.Unix(b.says.UnixTime, 0).UTC().Format(time.RFC3339)).Replace(text)
	var got string
	defer func() {
		if got != want {
			b.Errorf("the last text was\n%s\nwant\n%s", got, want)
		}
	}()
	b.eventually("the join is refused with the text", func() bool {
		err := b.vm.enroll(ctx, b.manager, token, b.says)
		refused, ok := refusal.FromError(err)
		if !ok {
			b.Fatalf("got %v", err)
		}
		got = refused.Error()
		if clock := refused.Attributes["manager"]; clock != "" {
			got = strings.Replace(got, "manager's says "+clock, "manager's says {manager}", 1)
		}
		return got == want
	})
}

func (b *bad) nothingMade(ctx context.Context, name string) {
	b.Helper()
	var machines v1alpha1.MachineList
	var secrets core.SecretList
	if err := b.client.List(ctx, &machines); err != nil {
		b.Fatal(err)
	}
	if err := b.client.List(ctx, &secrets, client.InNamespace("shop")); err != nil {
		b.Fatal(err)
	}
	for _, machine := range machines.Items {
		if machine.Spec.MachineID == name {
			b.Errorf("Machine %s was made", machine.Name)
		}
	}
	for _, secret := range secrets.Items {
		if strings.HasSuffix(secret.Name, name) {
			b.Errorf("Secret %s was made", secret.Name)
		}
	}
}

// A host that reaches another manager than its token's learns that, and tells it nothing: the token is as good as before.
func TestWrongPin(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	m := c.manager("manager-0")
	pin, _ := c.info()
	token := c.token(pin)
	err := c.host("vm", identity.Pin{1}).join(c.Context(), m, token)
	if err == nil || !strings.Contains(err.Error(), identity.ErrPin.Error()) {
		t.Errorf("got %v", err)
	}
	if err := c.host("vm", pin).join(c.Context(), m, token); err != nil {
		t.Errorf("with the right pin: %v", err)
	}
}
