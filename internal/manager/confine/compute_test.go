package confine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/manager/confine"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

// TestCompute runs the cases of testdata: objects.yaml is added to base.yaml, want.yaml is what confines the group shop/ratings.
func TestCompute(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			objects := managertest.Objects(t, string(base))
			var want []byte
			for _, file := range archive.Files {
				switch file.Name {
				case "objects.yaml":
					objects = append(objects, managertest.Objects(t, string(file.Data))...)
				case "want.yaml":
					want = file.Data
				}
			}
			got := computed(t, objects)
			if bytes.Equal(got, want) {
				return
			}
			if !golden.Updating() {
				t.Fatalf("the result is another one; write it with -update if that is right\n--- want\n%s\n--- got\n%s", want, got)
			}
			archive.Files = slices.DeleteFunc(archive.Files, func(file txtar.File) bool { return file.Name == "want.yaml" })
			archive.Files = append(archive.Files, txtar.File{Name: "want.yaml", Data: got})
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func computed(t *testing.T, objects []client.Object) []byte {
	t.Helper()
	f, err := watch.Collect(watch.Options{}, objects...)
	if err != nil {
		t.Fatal(err)
	}
	sidecar, policy := confine.Compute(f, f.Groups[types.NamespacedName{Namespace: "shop", Name: "ratings"}])
	var documents [][]byte
	for _, object := range []client.Object{sidecar, policy} {
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, text)
	}
	return bytes.Join(documents, []byte("---\n"))
}
