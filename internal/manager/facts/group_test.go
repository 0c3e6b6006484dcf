package facts_test

import (
	"maps"
	"testing"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

func TestMachineLabels(t *testing.T) {
	for name, c := range map[string]struct {
		machines, template words
		want               words
	}{
		"bare": {nil, nil, words{"service.istio.io/canonical-name": "ratings", "service.istio.io/canonical-revision": "latest"}},
		"template-over-metadata": {
			words{"app": "a", "version": "v1", "team": "x"}, words{"app": "b"},
			words{"app": "b", "version": "v1", "team": "x", "service.istio.io/canonical-name": "b", "service.istio.io/canonical-revision": "v1"},
		},
		"kubernetes-names-over-app": {
			words{"app": "a", "app.kubernetes.io/name": "k", "app.kubernetes.io/version": "7"}, nil,
			words{
				"app": "a", "app.kubernetes.io/name": "k", "app.kubernetes.io/version": "7",
				"service.istio.io/canonical-name": "k", "service.istio.io/canonical-revision": "7",
			},
		},
		"canonical-names-over-all": {
			words{"app": "a", "service.istio.io/canonical-name": "c", "service.istio.io/canonical-revision": "r"}, nil,
			words{"app": "a", "service.istio.io/canonical-name": "c", "service.istio.io/canonical-revision": "r"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := group(nil, c.machines, nil)
			g.Spec.Template.Labels = c.template
			c.want["hawser.io/group"] = "ratings"
			if got := g.MachineLabels(); !maps.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestServiceAccount(t *testing.T) {
	g := group(nil, nil, nil)
	if got := g.ServiceAccount(); got != "default" {
		t.Errorf("got %q", got)
	}
	g.Spec.Template.ServiceAccount = "ratings"
	if got := g.ServiceAccount(); got != "ratings" {
		t.Errorf("got %q", got)
	}
	if got := (facts.Group{}).ServiceAccount(); got != "default" {
		t.Errorf("without a spec: %q", got)
	}
}
