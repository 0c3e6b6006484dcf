//go:build apiserver

package manager_test

import (
	"context"
	"maps"
	"testing"
	"time"

	istionetworking "istio.io/client-go/pkg/apis/networking/v1"
	core "k8s.io/api/core/v1"
	events "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/admission"
	"github.com/hawser-io/hawser/internal/manager/istiotoken"
	"github.com/hawser-io/hawser/internal/refusal"
)

// book is the book of admissions, which a manager makes before it serves.
func (c *cluster) book() *core.ConfigMap {
	c.Helper()
	book := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Namespace: "hawser-system", Name: admission.ConfigMapName}}
	c.eventually("there is a book of admissions", func() bool {
		return c.client.Get(c.Context(), client.ObjectKeyFromObject(book), book) == nil
	})
	return book
}

// forget takes a machine's objects away, as a restore does, and as somebody does who takes the finalizer off by hand. No manager may run.
func (c *cluster) forget(name string) {
	c.Helper()
	machine := c.machine(name)
	machine.Finalizers = nil
	if err := c.client.Update(c.Context(), machine); err != nil {
		c.Fatal(err)
	}
	for _, object := range []client.Object{
		machine, &core.Secret{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: istiotoken.SecretName(name)}},
		&istionetworking.WorkloadEntry{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: name}},
	} {
		if err := c.client.Delete(c.Context(), object); err != nil && !apierrors.IsNotFound(err) {
			c.Fatal(err)
		}
	}
}

// back opens the stream of an agent that has all it had.
func (m *member) back(ctx context.Context, r *replica) hawserv1.MachineService_SyncClient {
	m.c.Helper()
	stream := must[hawserv1.MachineService_SyncClient](m.c)(hawserv1.NewMachineServiceClient(m.dial(r)).Sync(ctx))
	hello := &hawserv1.Hello{
		Host: m.facts(), Generation: m.state.GetGeneration(), Report: m.report(m.state.GetGeneration()),
		TokenExpiry: time.Now().Add(20 * time.Hour).Unix(), ServiceAccount: "ratings", TokenSecret: "of-before",
	}
	if err := stream.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Hello{Hello: hello}}); err != nil {
		m.c.Fatal(err)
	}
	return stream
}

// The cluster's state is put back to one from before a machine joined: it goes on, as a Machine of its group that was made anew, with a token
// that is good. A Machine that somebody has deleted by force is deleted all the same.
func TestRestoredState(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	first := c.manager("manager-0")
	early := c.member(ctx, "early", first)
	saved := c.book()
	late := c.member(ctx, "late", first)
	former := c.machine("late")
	if now := c.book(); maps.Equal(now.Data, saved.Data) {
		t.Fatalf("nothing was noted: %v", now.Data)
	}
	first.stop()
	book := c.book()
	book.Data = saved.Data
	if err := c.client.Update(ctx, book); err != nil {
		t.Fatal(err)
	}
	c.forget("early")
	c.forget("late")

	second := c.manager("manager-1")
	if response, err := early.back(ctx, second).Recv(); response.GetRemoved() == nil {
		t.Errorf("a machine that was deleted by force got %v, %v", response, err)
	}
	stream := late.back(ctx, second)
	state, token := firstState(t, stream)
	for token == "" {
		token = must[*hawserv1.SyncResponse](t)(stream.Recv()).GetToken().GetToken()
	}
	if ref := state.GetMachine(); ref.GetUid() == string(former.UID) || ref.GetGroup() != "ratings" {
		t.Errorf("served as %v", ref)
	}
	if !c.tokenGood(token) {
		t.Error("the new token is void")
	}
	// The API server keeps a good answer for 10 s.
	c.eventually("the former token is void", func() bool { return !c.tokenGood(late.token) })
	if err := stream.Send(&hawserv1.SyncRequest{Message: &hawserv1.SyncRequest_Report{Report: late.report(state.GetGeneration())}}); err != nil {
		t.Fatal(err)
	}
	c.eventually("it takes traffic", func() bool { return c.health("late") == "True" })
	if now := c.machine("late"); now.Spec.KeyFingerprint != former.Spec.KeyFingerprint || now.Annotations[v1alpha1.AnnotationReturning] != "" || len(now.Finalizers) != 1 {
		t.Errorf("the Machine is %+v", now)
	}
	c.eventually("an Event says so", func() bool {
		var list events.EventList
		if err := c.client.List(ctx, &list, client.InNamespace("shop")); err != nil {
			t.Fatal(err)
		}
		for _, event := range list.Items {
			if event.Reason == "Readmitted" && event.Regarding.Name == "late" {
				return true
			}
		}
		return false
	})

	// Deleted while it is away, it has been deleted: it is not taken back a second time.
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	c.eventually("it counts as gone", func() bool { return c.reason("late", v1alpha1.ConditionConnected) == "StreamLost" })
	c.remove("late")
	c.eventually("it is let go", func() bool { return c.machine("late") == nil })
	if response, err := late.back(ctx, second).Recv(); response.GetRemoved() == nil {
		t.Errorf("it got %v, %v", response, err)
	}
}

// Groups that come back after a restore, by whatever tool, have their machines again.
func TestRestoredStateWithoutTheGroup(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 6*patience)
	defer cancel()
	first := c.manager("manager-0")
	c.info()
	saved := c.book()
	late := c.member(ctx, "late", first)
	first.stop()
	group := &istionetworking.WorkloadGroup{ObjectMeta: meta.ObjectMeta{Namespace: "shop", Name: "ratings"}}
	c.get(group)
	if err := c.client.Delete(ctx, group.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	book := c.book()
	book.Data = saved.Data
	if err := c.client.Update(ctx, book); err != nil {
		t.Fatal(err)
	}
	c.forget("late")
	second := c.manager("manager-1")
	late.manager = second
	for what, err := range late.tries(ctx) {
		want := refusal.MachineForgotten
		if what == "leave" {
			want = refusal.MachineUnknown
		}
		if !is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	group.ResourceVersion, group.UID = "", ""
	c.create(group)
	if state := nextState(t, late.back(ctx, second)); state.GetMachine().GetName() != "late" {
		t.Errorf("served as %v", state.GetMachine())
	}
}
