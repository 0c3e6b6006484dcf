//go:build apiserver

package manager_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/istiotoken"
	"github.com/hawser-io/hawser/internal/refusal"
)

// A machine's life at two replicas and a real API server: it joins, is served, moves when its replica stops, and leaves.
func TestLifeOfAMachine(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	first, second := c.manager("manager-0"), c.manager("manager-1")
	pin, address := c.info()
	if address != "172.31.0.240:15012" {
		t.Errorf("announced %q", address)
	}
	vm := c.host("ratings-vm-1", pin)
	if err := vm.join(ctx, first, c.token(pin)); err != nil {
		t.Fatal(err)
	}

	// The other replica serves it at once, although its cache may not have the machine yet.
	stream := vm.sync(ctx, second, "")
	state, token := firstState(t, stream)
	if token == "" || len(state.GetProxy().GetFiles()) != 3 {
		t.Errorf("state without token or files: %v", state.GetProxy())
	}
	c.download(vm, second, state.GetProxy().GetFiles()[0])
	if h := c.health("ratings-vm-1"); h == "True" {
		t.Error("it takes traffic before it is ready")
	}
	report := &hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: vm.report(state.GetGeneration())}}
	if err := stream.Send(report); err != nil {
		t.Fatal(err)
	}
	c.eventually("the machine takes traffic", func() bool { return c.health("ratings-vm-1") == "True" })
	c.eventually("the machine is ready", func() bool { return c.condition("ratings-vm-1", v1alpha1.ConditionReady) == "True" })

	// Its replica stops: it goes on at the other one without having been out of rotation, and gets nothing that it has.
	before := c.entry("ratings-vm-1")
	second.stop()
	if _, err := stream.Recv(); err == nil {
		t.Error("the stream goes on although its manager stopped")
	}
	stream = vm.sync(ctx, first, state.GetGeneration())
	c.eventually("the other replica has it", func() bool { return c.connection("ratings-vm-1") == "manager-0" })
	if after := c.entry("ratings-vm-1"); after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the entry was written although nothing changed: %v, before %v", after, before)
	}

	// Its group changes: the newest state comes, and the entry follows.
	group := &istionetworking.WorkloadGroup{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings"}}
	c.get(group)
	group.Spec.Template.Ports["grpc"] = 9090
	if err := c.client.Update(ctx, group); err != nil {
		t.Fatal(err)
	}
	if changed := nextState(t, stream); changed.GetGeneration() == state.GetGeneration() {
		t.Error("the same generation came again")
	}
	c.eventually("the entry has the port", func() bool { return c.entry("ratings-vm-1").Spec.Ports["grpc"] == 9090 })

	if _, err := hawserv1.NewMachineServiceClient(vm.dial(first)).Leave(ctx, &hawserv1.LeaveRequest{}); err != nil {
		t.Fatal(err)
	}
	c.gone("ratings-vm-1")
}

func TestOneTokenTwoReplicas(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	replicas := []*replica{c.manager("manager-0"), c.manager("manager-1")}
	pin, _ := c.info()
	token := c.token(pin)
	errs := make([]error, 8)
	var joins sync.WaitGroup
	for i := range errs {
		vm := c.host("vm-"+string(rune('a'+i)), pin)
		joins.Go(func() { errs[i] = vm.join(ctx, replicas[i%2], token) })
	}
	joins.Wait()
	var machines v1alpha1.MachineList
	if err := c.client.List(ctx, &machines); err != nil {
		t.Fatal(err)
	}
	if len(machines.Items) != 1 {
		t.Fatalf("there are %d machines", len(machines.Items))
	}
	accepted := 0
	says := fmt.Sprintf("join token %s is used up: %s joined with it: create another token with `hawser token create --group shop/ratings`; "+
		"each host needs its own, unless it was made with --uses", token.ID(), machines.Items[0].Name)
	for _, err := range errs {
		if err == nil {
			accepted++
		} else if refused, ok := refusal.FromError(err); !ok || refused.Error() != says {
			t.Errorf("refused with %v\nwant %s", err, says)
		}
	}
	if accepted != 1 {
		t.Errorf("%d joins were accepted", accepted)
	}
}

// firstState returns a machine's first state and its token, which comes with the state, or before it if that has to be waited for.
func firstState(t *testing.T, stream hawserv1.MachineService_SyncClient) (state *hawserv1.DesiredState, token string) {
	t.Helper()
	for state == nil {
		response := must[*hawserv1.SyncResponse](t)(stream.Recv())
		state = response.GetState()
		token = cmp.Or(state.GetToken().GetToken(), response.GetToken().GetToken(), token)
	}
	return state, token
}

func nextState(t *testing.T, stream hawserv1.MachineService_SyncClient) *hawserv1.DesiredState {
	t.Helper()
	for {
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if state := response.GetState(); state != nil {
			return state
		}
	}
}

func (c *cluster) download(vm *host, r *replica, file *hawserv1.ProxyFile) {
	c.Helper()
	stream, err := hawserv1.NewMachineServiceClient(vm.dial(r)).ReadArtifact(c.Context(), &hawserv1.ReadArtifactRequest{Sha256: file.GetSha256()})
	var size int64
	for err == nil {
		var response *hawserv1.ReadArtifactResponse
		response, err = stream.Recv()
		size += int64(len(response.GetData()))
	}
	if !errors.Is(err, io.EOF) || size != file.GetCompressedSize() {
		c.Errorf("read %d of %d bytes: %v", size, file.GetCompressedSize(), err)
	}
}

func (c *cluster) entry(machine string) *istionetworking.WorkloadEntry {
	c.Helper()
	entry := &istionetworking.WorkloadEntry{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: machine}}
	c.get(entry)
	return entry
}

func (c *cluster) connection(name string) string {
	c.Helper()
	machine := &v1alpha1.Machine{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: name}}
	c.get(machine)
	if machine.Status.Connection == nil {
		return ""
	}
	return machine.Status.Connection.Manager
}

func (c *cluster) gone(name string) {
	c.Helper()
	key := client.ObjectKey{Namespace: "shop", Name: name}
	if err := c.client.Get(c.Context(), key, &v1alpha1.Machine{}); !apierrors.IsNotFound(err) {
		c.Errorf("there still is a Machine: %v", err)
	}
	if h := c.health(name); h != "none" {
		c.Errorf("there still is a WorkloadEntry, healthy %q", h)
	}
	if !c.secretGone(name) {
		c.Error("its tokens are still good")
	}
}

func (c *cluster) secretGone(name string) bool {
	key := client.ObjectKey{Namespace: "shop", Name: istiotoken.SecretName(name)}
	return apierrors.IsNotFound(c.client.Get(context.Background(), key, &core.Secret{}))
}

func is(err error, reason refusal.Reason) bool {
	r, ok := refusal.FromError(err)
	return ok && r.Reason == reason
}
