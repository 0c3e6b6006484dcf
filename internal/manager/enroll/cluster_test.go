package enroll_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/enroll"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

var (
	_ enroll.Tokens      = (*fakeCluster)(nil)
	_ enroll.Machines    = (*fakeCluster)(nil)
	_ enroll.Groups      = (*fakeCluster)(nil)
	_ enroll.IstioTokens = (*fakeCluster)(nil)
	_ enroll.Admissions  = (*fakeCluster)(nil)
	_ enroll.Proxies     = (*fakeRegistry)(nil)
)

// fakeCluster keeps join tokens and machines as an API server does: copies in and out, and optimistic concurrency.
type fakeCluster struct {
	now      func() time.Time
	mu       sync.Mutex
	version  int
	tokens   map[types.NamespacedName]*v1alpha1.JoinToken
	machines map[types.NamespacedName]*v1alpha1.Machine
	// groups that there are, whatever the facts say; it may be nil.
	groups map[types.NamespacedName]bool
	voided []string
	// stamped has what there was at each admission.
	stamped []string
	// broken is the error of every call, bookBroken that of notes of admissions, groupsBroken that of looking for groups.
	broken, bookBroken, groupsBroken error
}

func newFakeCluster(now func() time.Time) *fakeCluster {
	return &fakeCluster{now: now, tokens: map[types.NamespacedName]*v1alpha1.JoinToken{}, machines: map[types.NamespacedName]*v1alpha1.Machine{}}
}

func (f *fakeCluster) Token(_ context.Context, key types.NamespacedName) (*v1alpha1.JoinToken, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if token, ok := f.tokens[key]; ok && f.broken == nil {
		return token.DeepCopy(), nil
	}
	return nil, f.missing("jointokens", key)
}

func (f *fakeCluster) UpdateTokenStatus(_ context.Context, token *v1alpha1.JoinToken) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := types.NamespacedName{Namespace: token.Namespace, Name: token.Name}
	existing, ok := f.tokens[key]
	if !ok {
		return f.missing("jointokens", key)
	}
	if existing.ResourceVersion != token.ResourceVersion {
		return apierrors.NewConflict(resource("jointokens"), key.Name, errors.New("changed"))
	}
	changed := existing.DeepCopy()
	changed.Status = *token.Status.DeepCopy()
	changed.ResourceVersion = f.next()
	f.tokens[key] = changed
	return nil
}

func (f *fakeCluster) GroupExists(_ context.Context, key types.NamespacedName) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.groups[key], f.groupsBroken
}

func (f *fakeCluster) GetMachine(_ context.Context, key types.NamespacedName) (*v1alpha1.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if machine, ok := f.machines[key]; ok && f.broken == nil {
		return machine.DeepCopy(), nil
	}
	return nil, f.missing("machines", key)
}

func (f *fakeCluster) CreateMachine(_ context.Context, machine *v1alpha1.Machine) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := types.NamespacedName{Namespace: machine.Namespace, Name: machine.Name}
	if _, ok := f.machines[key]; ok {
		return apierrors.NewAlreadyExists(resource("machines"), key.Name)
	}
	machine.ResourceVersion = f.next()
	machine.UID = types.UID("uid-" + machine.ResourceVersion)
	machine.CreationTimestamp = meta.NewTime(f.now())
	f.machines[key] = machine.DeepCopy()
	return nil
}

func (f *fakeCluster) UpdateMachine(_ context.Context, machine *v1alpha1.Machine) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := types.NamespacedName{Namespace: machine.Namespace, Name: machine.Name}
	existing, ok := f.machines[key]
	if !ok {
		return f.missing("machines", key)
	}
	if existing.ResourceVersion != machine.ResourceVersion {
		return apierrors.NewConflict(resource("machines"), key.Name, errors.New("changed"))
	}
	machine.ResourceVersion = f.next()
	f.machines[key] = machine.DeepCopy()
	return nil
}

func (f *fakeCluster) Revoke(_ context.Context, machine types.NamespacedName) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.voided = append(f.voided, machine.String())
	return nil
}

// Stamp counts admissions.
func (f *fakeCluster) Stamp(context.Context) (identity.Stamp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil || f.bookBroken != nil {
		return identity.Stamp{}, errors.Join(f.broken, f.bookBroken)
	}
	f.stamped = append(f.stamped, fmt.Sprintf("%d machines", len(f.machines)))
	return identity.Stamp{Book: "b00cb00cb00cb00c", Term: "7e2a7e2a7e2a7e2a", Place: 1, Number: f.now().UnixMilli() + int64(len(f.stamped))}, nil
}

func (f *fakeCluster) missing(kind string, key types.NamespacedName) error {
	if f.broken != nil {
		return f.broken
	}
	return apierrors.NewNotFound(resource(kind), key.Name)
}

func (f *fakeCluster) next() string {
	f.version++
	return strconv.Itoa(f.version)
}

// String shows what a join may change.
func (f *fakeCluster) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out strings.Builder
	for _, key := range slices.SortedFunc(maps.Keys(f.tokens), compare) {
		fmt.Fprintf(&out, "token %s used by [%s]\n", key, uses(f.tokens[key]))
	}
	for _, key := range slices.SortedFunc(maps.Keys(f.machines), compare) {
		m := f.machines[key]
		fmt.Fprintf(&out, "machine %s group %s key %.8s\n", key, m.Spec.Group, m.Spec.KeyFingerprint)
	}
	for _, name := range f.voided {
		fmt.Fprintf(&out, "tokens of %s voided\n", name)
	}
	return out.String()
}

func uses(token *v1alpha1.JoinToken) string {
	var names []string
	for _, use := range token.Status.Uses {
		names = append(names, use.Machine)
	}
	return strings.Join(names, " ")
}

func compare(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }

func resource(kind string) schema.GroupResource {
	return schema.GroupResource{Group: v1alpha1.Group, Resource: kind}
}

// fakeRegistry has images for amd64 that need a GNU C library of 2.31, unless it has a problem.
type fakeRegistry struct {
	problem error
	// hangs: a pull lasts until its caller gives up.
	hangs bool
}

func (f *fakeRegistry) Ensure(ctx context.Context, image, architecture string) (facts.Proxy, error) {
	key := facts.ProxyKey{Image: image, Architecture: architecture}
	switch {
	case f.hangs:
		<-ctx.Done()
		return facts.Proxy{}, ctx.Err()
	case f.problem != nil:
		return facts.Proxy{}, f.problem
	case architecture != "amd64":
		return facts.Proxy{}, &facts.Problem{
			Reason:  facts.ReasonArchitectureUnsupported,
			Message: fmt.Sprintf("image %s has nothing for %s", image, architecture),
			Next:    "use an image that has",
		}
	}
	return facts.Proxy{ProxyKey: key, Digest: "sha256:d", Version: "1.31.4", MinGlibc: "2.31", Files: []facts.ProxyFile{
		{Role: facts.RoleEnvoy, Path: "envoy"}, {Role: facts.RoleBootstrapTemplate, Path: "envoy_bootstrap.json"}, {Role: facts.RolePilotAgent, Path: "pilot-agent"},
	}}, nil
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
