package managertest

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/internal/manager/watch"
)

// Scheme has the kinds that the manager's facts are made of.
func Scheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := watch.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

// Objects decodes Kubernetes objects, given as YAML documents.
func Objects(t testing.TB, text string) []client.Object {
	t.Helper()
	decoder := serializer.NewCodecFactory(Scheme(t)).UniversalDeserializer()
	var objects []client.Object
	for document := range strings.SplitSeq(text, "\n---\n") {
		object, kind, err := decoder.Decode([]byte(document), nil, nil)
		if err != nil {
			t.Fatalf("decode an object: %v\n%s", err, document)
		}
		object.GetObjectKind().SetGroupVersionKind(*kind)
		objects = append(objects, object.(client.Object))
	}
	return objects
}
