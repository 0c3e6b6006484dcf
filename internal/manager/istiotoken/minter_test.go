package istiotoken_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/istiotoken"
)

// machines are the Machines of the API server.
type machines struct {
	known map[string]facts.Machine
	err   error
}

var _ istiotoken.Machines = (*machines)(nil)

func having(list ...facts.Machine) *machines {
	m := &machines{known: map[string]facts.Machine{}}
	for _, machine := range list {
		m.known[machine.String()] = machine
	}
	return m
}

func (m *machines) Machine(_ context.Context, key types.NamespacedName) (facts.Machine, error) {
	if machine, ok := m.known[key.String()]; ok || m.err != nil {
		return machine, m.err
	}
	return facts.Machine{}, apierrors.NewNotFound(schema.GroupResource{Resource: "machines"}, key.Name)
}

func machine(name string, uid types.UID) facts.Machine {
	return facts.Machine{NamespacedName: types.NamespacedName{Namespace: "default", Name: name}, UID: uid, Group: "ratings", KeyFingerprint: "key"}
}

func secrets(t *testing.T, client *fake.Clientset) []string {
	t.Helper()
	list, err := client.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, secret := range list.Items {
		names = append(names, secret.Name)
	}
	return names
}

// Who mints may know less than the API server: a machine that was revoked a moment ago has its tokens voided already, and would get one
// that nothing voids any more.
func TestNoTokenForWhoMustNotHaveOne(t *testing.T) {
	vm := machine("vm", "u")
	changed := func(change func(*facts.Machine)) *machines { now := vm; change(&now); return having(now) }
	for name, c := range map[string]struct {
		now  *machines
		want string
		kept bool
	}{
		"revoked":              {changed(func(m *facts.Machine) { m.Revoked = true }), "machine default/vm was revoked", false},
		"joined-with-another":  {changed(func(m *facts.Machine) { m.KeyFingerprint = "another" }), "machine default/vm is not the one any more that asks", true},
		"made-anew":            {changed(func(m *facts.Machine) { m.UID = "another" }), "machine default/vm is not the one any more that asks", true},
		"being-deleted":        {changed(func(m *facts.Machine) { m.Deleting = true }), "machine default/vm is not the one any more that asks", true},
		"deleted":              {having(), "look up machine default/vm", true},
		"api-server-unhealthy": {&machines{err: errors.New("etcd is down")}, "look up machine default/vm", true},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset()
			token, err := istiotoken.NewMinter(client.CoreV1(), c.now).Mint(t.Context(), vm, "ratings", 24*time.Hour)
			if token != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", token, err)
			}
			if kept := len(secrets(t, client)) > 0; kept != c.kept {
				t.Errorf("Secrets %v", secrets(t, client))
			}
			for _, action := range client.Actions() {
				if action.GetSubresource() == "token" {
					t.Error("a token was requested")
				}
			}
		})
	}
}

func TestRevokeLeavesForeignSecrets(t *testing.T) {
	foreign := &core.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: istiotoken.SecretName("vm")}}
	client := fake.NewClientset(foreign)
	if err := istiotoken.NewMinter(client.CoreV1(), having()).Revoke(t.Context(), machine("vm", "u").NamespacedName); err != nil {
		t.Error(err)
	}
	if got := secrets(t, client); !slices.Equal(got, []string{foreign.Name}) {
		t.Errorf("Secrets %v", got)
	}
}
