package charttest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"

	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	machineryyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// documents returns the YAML documents of all rendered objects.
func documents(t *testing.T, values string) [][]byte {
	t.Helper()
	var all [][]byte
	for name, text := range render(t, values) {
		if name == "NOTES.txt" {
			continue
		}
		for reader := machineryyaml.NewYAMLReader(bufio.NewReader(bytes.NewBufferString(text))); ; {
			document, err := reader.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(bytes.TrimSpace(document)) > 0 {
				all = append(all, document)
			}
		}
	}
	return all
}

// Fields that Kubernetes does not know would be dropped without a word at best.
func TestObjectsDecodeStrictly(t *testing.T) {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	known := 0
	for _, document := range documents(t, "") {
		_, kind, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) {
			continue // Istio's objects and the CRDs: the API server validates them in the end-to-end tests.
		}
		if err != nil {
			t.Errorf("%v: %v\n%s", kind, err, document)
		}
		known++
	}
	if known < 10 {
		t.Errorf("only %d objects of Kubernetes' own kinds were found", known)
	}
}

// The manager's pods run in a namespace that enforces Kubernetes' restricted Pod Security Standard.
func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	found := false
	for _, document := range documents(t, "") {
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			continue
		}
		deployment, ok := object.(*apps.Deployment)
		if !ok {
			continue
		}
		found = true
		template := deployment.Spec.Template
		for _, result := range evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
			if !result.Allowed {
				t.Errorf("%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
			}
		}
		for _, container := range template.Spec.Containers {
			if c := container.SecurityContext; c == nil || c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
				t.Errorf("container %s can write to its root file system", container.Name)
			}
		}
	}
	if !found {
		t.Fatal("the chart has no Deployment")
	}
}
