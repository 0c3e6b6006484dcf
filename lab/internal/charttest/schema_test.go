package charttest

import (
	"strings"
	"testing"
)

func TestSchemaRefuses(t *testing.T) {
	cases := map[string]struct{ values, want string }{
		"unknown-value":       {"replica: 2", "additional properties 'replica' not allowed"},
		"unknown-inner-value": {"image: {name: x}", "additional properties 'name' not allowed"},
		"no-replicas":         {"replicas: 0", "minimum: got 0, want 1"},
		"replicas-text":       {"replicas: two", "got string, want integer"},
		"tag-in-repository":   {"image: {repository: 'example.com/hawser-manager:1.0'}", "does not match pattern"},
		"digest-as-tag":       {"image: {tag: 'sha256:00'}", "does not match pattern"},
		"pull-policy":         {"image: {pullPolicy: Sometimes}", "value must be one of"},
		"pull-secret-text":    {"image: {pullSecrets: [pull]}", "got string, want object"},
		"no-selector":         {"gateway: {selector: {istio: null}}", "minProperties: got 0, want 1"},
		"selector-number":     {"gateway: {selector: {istio: 1}}", "got number, want string"},
		"port-range":          {"gateway: {port: 70000}", "maximum: got 70,000, want 65,535"},
		"namespace":           {"istio: {namespace: Istio_System}", "does not match pattern"},
		"log-level":           {"log: {level: loud}", "value must be one of"},
		"plain-http-text":     {"registry: {plainHTTP: 'yes'}", "got string, want boolean"},
		"size":                {"cache: {sizeLimit: much}", "does not match pattern"},
		"open-peer":           {"networkPolicy: {metricsFrom: [{}]}", "minProperties: got 0, want 1"},
		"disruption-percent":  {"podDisruptionBudget: {maxUnavailable: half}", "does not match pattern"},
		"interval":            {"metrics: {podMonitor: {interval: often}}", "does not match pattern"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := tryRender(t, c.values)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("values %q: got error %v, want one with %q", c.values, err, c.want)
			}
		})
	}
}
