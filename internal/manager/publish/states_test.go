package publish

import (
	"os"
	"testing"

	"google.golang.org/protobuf/proto"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/internal/manager/desired"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

// A state that is made of its group's template is to the byte the one that is computed, whatever the machine is called.
func TestTemplateGivesWhatIsComputed(t *testing.T) {
	f := someFacts(t)
	var s states
	for _, name := range []string{"ratings-vm-1", "db-1.example.org", "1234", "0x1f", "1e3", "1.5", "true", "no", "null", "y", "2026-11-24", "0o17", "a"} {
		t.Run(name, func(t *testing.T) {
			machine := facts.Machine{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}, UID: "uid", Group: "ratings", Architecture: "amd64"}
			got, want := s.of(func() facts.Facts { return f }, machine).fill(machine, writtenName(machine.Name)), desired.Compute(f, machine)
			if want.State == nil || !proto.Equal(got.State, want.State) {
				t.Errorf("got %v, %v\nwant %v, %v", got.State, got.Problem, want.State, want.Problem)
			}
		})
	}
}

func TestTemplateStaysWhileTheStateDoes(t *testing.T) {
	f := someFacts(t)
	machine := facts.Machine{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "vm"}, Group: "ratings", Architecture: "amd64"}
	var s states
	newest := func() facts.Facts { return f }
	first := s.of(newest, machine)
	for name, change := range map[string]func(){
		"machines":        func() { f.Machines = map[types.NamespacedName]facts.Machine{machine.NamespacedName: machine} },
		"other-namespace": func() { f.RootCertificates = map[string]string{"shop": f.RootCertificates["shop"], "other": "roots"} },
	} {
		if change(); s.of(newest, machine) != first {
			t.Errorf("%s: another template, although the state is the same", name)
		}
	}
	f.RootCertificates = map[string]string{"shop": "other roots"}
	second := s.of(newest, machine)
	if second == first || string(second.fill(machine, writtenName(machine.Name)).State.GetMesh().GetRootCertificates()) != "other roots" {
		t.Error("the template does not follow the facts")
	}
	f.Groups = nil
	result := s.of(newest, machine).fill(machine, writtenName(machine.Name))
	if want := desired.Compute(f, machine); result.Problem == nil || *result.Problem != *want.Problem {
		t.Errorf("got %v, want %v", result.Problem, want.Problem)
	}
}

func someFacts(t *testing.T) facts.Facts {
	t.Helper()
	base, err := os.ReadFile("../desired/testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := watch.Collect(watch.Options{}, managertest.Objects(t, string(base))...)
	if err != nil {
		t.Fatal(err)
	}
	f.Proxies = map[facts.ProxyKey]facts.ProxyState{}
	for _, group := range f.Groups {
		image, problem := f.ProxyImageOf(group)
		if problem != nil {
			t.Fatal(problem)
		}
		key := facts.ProxyKey{Image: image, Architecture: "amd64"}
		f.Proxies[key] = facts.ProxyState{Proxy: &facts.Proxy{ProxyKey: key, Digest: "sha256:d", Version: "1.31.4"}}
	}
	return f
}
