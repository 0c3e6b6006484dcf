package facts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
)

// TestRevisionOfAMachineIsThatOfAPod asks Istio's own webhooks, of a default revision and of one that is called 1-16, which of them a pod of the same labels would
// go through. Where both labels of a namespace, or its and the pod's, stand for different revisions, a machine stays with neither.
func TestRevisionOfAMachineIsThatOfAPod(t *testing.T) {
	injectors := map[string]admission.MutatingWebhookConfiguration{"default": injector(t, "default-injector.yaml"), "1-16": injector(t, "rev-16-injector.yaml")}
	f := facts.Facts{Revisions: map[string]facts.Revision{"default": {Name: "default"}, "1-16": {Name: "1-16"}}}
	agreed := map[string]bool{}
	for _, injection := range []string{"", "enabled", "disabled"} {
		for _, ofNamespace := range []string{"", "default", "1-16"} {
			for _, ofPod := range []string{"", "default", "1-16"} {
				namespace, pod := said(facts.LabelInjection, injection), said(facts.LabelRevision, ofPod)
				if ofNamespace != "" {
					namespace[facts.LabelRevision] = ofNamespace
				}
				f.Namespaces = map[string]facts.Namespace{"shop": {Name: "shop", Labels: namespace}}
				revision, problem := f.RevisionOf(group(nil, pod, nil))
				names := map[string]bool{}
				for _, name := range []string{map[string]string{"enabled": "default"}[injection], ofNamespace, ofPod} {
					if name != "" {
						names[name] = true
					}
				}
				of := fmt.Sprintf("namespace %v, pod %v", namespace, pod)
				if conflict := problem != nil && problem.Reason == facts.ReasonRevisionConflict; conflict != (len(names) > 1) {
					t.Errorf("%s: %v, though %d revisions are named", of, problem, len(names))
				}
				// A pod that goes through none is not in the mesh, as a machine that has joined is.
				if injected := injectedBy(t, injectors, namespace, pod); injected != "" && problem == nil {
					agreed[injected] = true
					if injected != revision.Name {
						t.Errorf("%s: a pod follows %q, a machine %q", of, injected, revision.Name)
					}
				}
			}
		}
	}
	if len(agreed) != 2 {
		t.Errorf("pods followed %v only", agreed)
	}
}

func said(label, value string) map[string]string {
	if value == "" {
		return map[string]string{}
	}
	return map[string]string{label: value}
}

// injector is a rendered configuration of Istio's tests.
func injector(t *testing.T, file string) admission.MutatingWebhookConfiguration {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(managertest.IstioModule(t), "istioctl/pkg/checkinject/testdata/check-inject", file))
	if err != nil {
		t.Fatal(err)
	}
	var configuration admission.MutatingWebhookConfiguration
	if err := yaml.Unmarshal(content, &configuration); err != nil {
		t.Fatal(err)
	}
	return configuration
}

// injectedBy is the one whose webhooks take a pod.
func injectedBy(t *testing.T, injectors map[string]admission.MutatingWebhookConfiguration, namespace, pod map[string]string) string {
	t.Helper()
	found := ""
	for name, configuration := range injectors {
		for _, webhook := range configuration.Webhooks {
			if selects(t, webhook.NamespaceSelector, namespace) && selects(t, webhook.ObjectSelector, pod) {
				if found != "" && found != name {
					t.Errorf("a pod with %v in a namespace with %v goes through two", pod, namespace)
				}
				found = name
			}
		}
	}
	return found
}

func selects(t *testing.T, selector *metav1.LabelSelector, labelled map[string]string) bool {
	t.Helper()
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Matches(labels.Set(labelled))
}
