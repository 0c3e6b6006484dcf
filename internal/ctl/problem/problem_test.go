package problem

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestOf(t *testing.T) {
	machines := schema.GroupResource{Group: "hawser.io", Resource: "machines"}
	tokens := schema.GroupKind{Group: "hawser.io", Kind: "JoinToken"}
	one := Request{Verb: "get", Resource: "machines", Group: "hawser.io", Namespace: "shop", Name: "db"}
	all := Request{Verb: "list", Resource: "machines", Group: "hawser.io"}
	groups := Request{Verb: "list", Resource: "workloadgroups", Group: "networking.istio.io", Namespace: "shop"}
	create := Request{Verb: "create", Resource: "jointokens", Group: "hawser.io", Namespace: "shop", Name: "k3j9x0q2ab"}
	// What an API server answers for a path that it does not serve (staging/src/k8s.io/apiserver/pkg/server/filters).
	unknown := apierrors.NewGenericServerResponse(404, "get", schema.GroupResource{}, "", "404 page not found", 0, true)
	cases := map[string]struct {
		request Request
		err     error
		want    string
	}{
		"unauthorized":   {one, apierrors.NewUnauthorized("no"), "the cluster does not accept the credentials of this kubeconfig: they are wrong or have expired\nkubectl auth whoami"},
		"forbidden":      {all, apierrors.NewForbidden(machines, "", errors.New("no")), "you may not list machines.hawser.io in all namespaces\nkubectl auth can-i list machines.hawser.io -A   (and ask for the role in docs/guide/rbac.md)"},
		"forbidden-make": {create, apierrors.NewForbidden(machines, "", errors.New("no")), "you may not create jointokens.hawser.io in namespace shop\nkubectl auth can-i create jointokens.hawser.io -n shop   (and ask for the role in docs/guide/rbac.md)"},
		"no-hawser":      {all, unknown, "this cluster has no Hawser: it does not know the resource machines.hawser.io\nhelm install hawser deploy/helm/hawser -n hawser-system --create-namespace"},
		"no-istio":       {groups, unknown, "this cluster has no Istio: it does not know the kind WorkloadGroup\nkubectl get deployments -A -l app=istiod"},
		"not-found":      {one, apierrors.NewNotFound(machines, "db"), "there is no machine \"db\" in namespace shop\nhawser get machines -n shop"},
		"exists":         {create, apierrors.NewAlreadyExists(machines, "k3j9x0q2ab"), "join token \"k3j9x0q2ab\" in namespace shop exists already\nhawser token list -n shop"},
		"conflict":       {one, apierrors.NewConflict(machines, "db", errors.New("changed")), "machine \"db\" in namespace shop was changed by somebody else at the same time\nthe same command again"},
		"invalid": {create, apierrors.NewInvalid(tokens, "x", field.ErrorList{field.Invalid(field.NewPath("spec", "maxUses"), 2000, "should be less than or equal to 1000")}),
			"the cluster refuses the join token: spec.maxUses: Invalid value: 2000: should be less than or equal to 1000\nkubectl explain jointokens.spec"},
		"other": {one, errors.New("odd"), "cannot get machines.hawser.io \"db\" in namespace shop: odd\nkubectl cluster-info"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var p *Problem
			if !errors.As(c.request.Of(c.err), &p) || !errors.Is(p, c.err) {
				t.Fatalf("got %v", c.request.Of(c.err))
			}
			if got := p.What + "\n" + p.Next; got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestOfPassesOn(t *testing.T) {
	known := New("next", "what")
	for _, err := range []error{nil, known, context.Canceled} {
		if got := (Request{}).Of(err); got != err {
			t.Errorf("Of(%v) = %v", err, got)
		}
	}
}

func TestPrint(t *testing.T) {
	var out strings.Builder
	Print(&out, New("kubectl version", "it is %s", "late"))
	Print(&out, &plainError{})
	if want := "hawser: it is late\n  try: kubectl version\nhawser: plain\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

// plainError is an error that nobody has explained.
type plainError struct{}

func (*plainError) Error() string { return "plain" }
