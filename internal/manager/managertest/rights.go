//go:build apiserver

package managertest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// ChartRoles are the manager's roles and their bindings, read from the chart, for a release in namespace hawser-system.
func ChartRoles(t testing.TB) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, name := range []string{"rbac.yaml", "rbac-istio.yaml"} {
		text, err := os.ReadFile(filepath.Join(repository(t), "deploy/helm/hawser/templates", name))
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer("{{ .Release.Namespace }}", "hawser-system", "{{ .Values.istio.namespace }}", "istio-system").Replace(string(text))
		// What is left of the template sets labels.
		plain = regexp.MustCompile(`(?m)^(.*{{.*|  labels:)$`).ReplaceAllString(plain, "")
		for document := range strings.SplitSeq(plain, "\n---\n") {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				t.Fatalf("%v in:\n%s", err, document)
			}
			objects = append(objects, object)
		}
	}
	return objects
}

// AsManager is the configuration of the chart's ServiceAccount, whom an administrator's impersonates.
func AsManager(administrator *rest.Config) *rest.Config {
	account := rest.CopyConfig(administrator)
	account.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:hawser-system:hawser-manager",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:hawser-system", "system:authenticated"},
	}
	return account
}
