//go:build apiserver

package manager_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"io"
	"strings"
	"testing"

	authentication "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/istiotoken"
	"github.com/hawser-io/hawser/internal/refusal"
)

// member is a machine that has joined, is connected and takes traffic.
type member struct {
	*host
	manager *replica
	stream  hawserv1.MachineService_SyncClient
	state   *hawserv1.DesiredState
	// token for istiod.
	token string
}

func (c *cluster) member(ctx context.Context, name string, m *replica) *member {
	c.Helper()
	pin, _ := c.info()
	vm := &member{host: c.host(name, pin), manager: m}
	if err := vm.join(ctx, m, c.token(pin)); err != nil {
		c.Fatal(err)
	}
	vm.stream = vm.sync(ctx, m, "")
	vm.state, vm.token = firstState(c.T, vm.stream)
	if err := vm.stream.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: vm.report(vm.state.GetGeneration())}}); err != nil {
		c.Fatal(err)
	}
	c.eventually(name+" takes traffic", func() bool { return c.health(name) == "True" })
	if !c.tokenGood(vm.token) {
		c.Errorf("istiod would refuse the token of %s", name)
	}
	return vm
}

// tokenGood asks the API server as istiod does.
func (c *cluster) tokenGood(token string) bool {
	c.Helper()
	review := &authentication.TokenReview{Spec: authentication.TokenReviewSpec{Token: token, Audiences: []string{istiotoken.Audience}}}
	answer := must[*authentication.TokenReview](c)(must[*kubernetes.Clientset](c)(kubernetes.NewForConfig(c.config)).
		AuthenticationV1().TokenReviews().Create(context.Background(), review, meta.CreateOptions{}))
	return answer.Status.Authenticated
}

// revoke does what hawser revoke machine does.
func (c *cluster) revoke(name string) {
	c.Helper()
	patch := client.RawPatch(client.Merge.Type(), []byte(`{"spec": {"revoked": true}}`))
	if err := c.client.Patch(c.Context(), &v1alpha1.Machine{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: name}}, patch); err != nil {
		c.Fatal(err)
	}
}

// remove does what kubectl delete machine does.
func (c *cluster) remove(name string) {
	c.Helper()
	if err := c.client.Delete(c.Context(), &v1alpha1.Machine{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: name}}); err != nil {
		c.Fatal(err)
	}
}

// tries are all calls that a machine can make with its certificate.
func (m *member) tries(ctx context.Context) map[string]error {
	m.c.Helper()
	connection := m.dial(m.manager)
	service := hawserv1.NewMachineServiceClient(connection)
	tries := map[string]error{}
	_, tries["connect"] = m.sync(ctx, m.manager, "").Recv()
	read, err := service.ReadArtifact(ctx, &hawserv1.ReadArtifactRequest{Sha256: m.state.GetProxy().GetFiles()[0].GetSha256()})
	if err == nil {
		_, err = read.Recv()
	}
	tries["read a file"] = err
	_, tries["leave"] = service.Leave(ctx, &hawserv1.LeaveRequest{})
	csr := must[[]byte](m.c)(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, m.key))
	_, tries["renew"] = hawserv1.NewEnrollmentServiceClient(connection).Renew(ctx, &hawserv1.RenewRequest{Csr: csr})
	return tries
}

// What hawser revoke machine promises, on a machine that is connected: it is cut at once and for good, and says so.
func TestRevokedMachine(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	m := c.manager("manager-0")
	vm := c.member(ctx, "vm", m)
	c.revoke("vm")

	const says = "machine shop/vm was revoked: run `hawser-agent leave` on it; to let it back in, delete the Machine (kubectl delete machine vm -n shop) and join again"
	wantRefusal := func(what string, err error) {
		t.Helper()
		if refused, ok := refusal.FromError(err); !ok || refused.Error() != says || refused.Retry {
			t.Errorf("%s: got %v\nwant %s", what, err, says)
		}
	}
	_, err := vm.stream.Recv()
	wantRefusal("the stream that stood", err)
	for what, err := range vm.tries(ctx) {
		wantRefusal(what, err)
	}
	pin, _ := c.info()
	wantRefusal("join with another token", vm.join(ctx, m, c.token(pin)))
	wantRefusal("join with another key", c.host("vm", pin).join(ctx, m, c.token(pin)))
	c.eventually("it is out of rotation", func() bool { return c.health("vm") == "False" })
	c.eventually("its tokens are void", func() bool { return !c.tokenGood(vm.token) })
	c.eventually("its status says why", func() bool { return c.reason("vm", v1alpha1.ConditionReady) == "Revoked" })

	back := client.RawPatch(client.Merge.Type(), []byte(`{"spec": {"revoked": false}}`))
	err = c.client.Patch(ctx, &v1alpha1.Machine{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "vm"}}, back)
	if err == nil || !strings.Contains(err.Error(), "a revoked machine stays revoked; delete it and join again") {
		t.Errorf("the revocation was taken back: %v", err)
	}

	// Deleted, its agent is told to leave, and the host may join again.
	c.remove("vm")
	c.eventually("it is told to leave when it comes back", func() bool {
		response, _ := vm.sync(ctx, m, "").Recv()
		return response.GetRemoved().GetReason() == "the Machine shop/vm was deleted in Kubernetes"
	})
	again := c.member(ctx, "vm", m)
	if again.state.GetMachine().GetUid() == vm.state.GetMachine().GetUid() {
		t.Error("it is the same Machine again")
	}
	if c.tokenGood(vm.token) {
		t.Error("the token of before the revocation is good again")
	}
}

// A machine that is revoked while it is away is known to be revoked, has no tokens, and is refused when it comes back.
func TestMachineRevokedWhileAway(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	vm := c.member(ctx, "vm", c.manager("manager-0"))
	if err := vm.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	c.eventually("it counts as gone", func() bool { return c.reason("vm", v1alpha1.ConditionConnected) == "StreamLost" })
	c.revoke("vm")
	c.eventually("its status says why", func() bool { return c.reason("vm", v1alpha1.ConditionConnected) == "Revoked" })
	c.eventually("its tokens are void", func() bool { return !c.tokenGood(vm.token) })
	for what, err := range vm.tries(ctx) {
		if !is(err, refusal.MachineRevoked) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// kubectl delete machine makes the host leave: at once if it is connected, and when it comes back if it is not.
func TestDeletedMachine(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	m := c.manager("manager-0")
	here, away := c.member(ctx, "here", m), c.member(ctx, "away", m)
	if err := away.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := away.stream.Recv(); err != nil {
			break
		}
	}
	c.remove("here")
	c.remove("away")
	if response, err := here.stream.Recv(); response.GetRemoved().GetReason() != "the Machine shop/here was deleted in Kubernetes" {
		t.Errorf("it was told %v, %v", response, err)
	}
	if _, err := here.stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("its stream ended with %v", err)
	}
	c.eventually("it has no entry", func() bool { return c.health("here") == "none" })
	c.eventually("the other one is told to leave when it comes back", func() bool {
		response, _ := away.sync(ctx, m, "").Recv()
		return response.GetRemoved() != nil
	})
	// Its object stays until the host has left, and can do no more than that.
	if finalizers := c.machine("here").Finalizers; len(finalizers) != 1 || finalizers[0] != v1alpha1.FinalizerLeave {
		t.Errorf("finalizers %q", finalizers)
	}
	for what, err := range here.tries(ctx) {
		if what == "leave" && err != nil || what != "leave" && what != "connect" && !is(err, refusal.MachineUnknown) {
			t.Errorf("%s: %v", what, err)
		}
	}
	c.eventually("it is gone when its host has left", func() bool { return c.machine("here") == nil })
	pin, _ := c.info()
	if err := here.join(ctx, m, c.token(pin)); err != nil {
		t.Errorf("it cannot join again: %v", err)
	}
}

// machine returns a Machine, nil if there is none.
func (c *cluster) machine(name string) *v1alpha1.Machine {
	c.Helper()
	machine := &v1alpha1.Machine{}
	err := c.client.Get(c.Context(), client.ObjectKey{Namespace: "shop", Name: name}, machine)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.Fatal(err)
	}
	return machine
}

// reason returns the reason of a Machine's condition, "" if there is none.
func (c *cluster) reason(name, kind string) string {
	c.Helper()
	machine := &v1alpha1.Machine{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: name}}
	c.get(machine)
	if condition := apimeta.FindStatusCondition(machine.Status.Conditions, kind); condition != nil {
		return condition.Reason
	}
	return ""
}
