package desired_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/managertest"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

// world is a cluster as a case describes it.
type world struct {
	objects  []client.Object
	resolved map[string][]string
	image    string
	account  string
}

func worldOf(t *testing.T, archive *txtar.Archive) *world {
	t.Helper()
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{objects: managertest.Objects(t, string(base)), resolved: map[string][]string{}}
	for _, file := range archive.Files {
		text := string(file.Data)
		switch {
		case file.Name == "objects.yaml":
			for _, object := range managertest.Objects(t, text) {
				w.remove(nameOf(object))
				w.objects = append(w.objects, object)
			}
		case file.Name == "remove":
			for line := range strings.Lines(text) {
				if !w.remove(strings.TrimSpace(line)) {
					t.Fatalf("there is no %q to remove", strings.TrimSpace(line))
				}
			}
		case file.Name == "resolved":
			for line := range strings.Lines(text) {
				fields := strings.Fields(line)
				w.resolved[fields[0]] = fields[1:]
			}
		case file.Name == "image":
			w.image = strings.TrimSpace(text)
		case file.Name == "account":
			w.account = strings.TrimSpace(text)
		case !strings.HasPrefix(file.Name, "want/"):
			t.Fatalf("unknown section %q", file.Name)
		}
	}
	return w
}

func (w *world) remove(name string) bool {
	before := len(w.objects)
	w.objects = slices.DeleteFunc(w.objects, func(object client.Object) bool { return nameOf(object) == name })
	return len(w.objects) < before
}

func (w *world) facts(t *testing.T) facts.Facts {
	t.Helper()
	f, err := watch.Collect(watch.Options{}, w.objects...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Gateways {
		for j, address := range f.Gateways[i].Addresses {
			if address.Hostname != "" {
				f.Gateways[i].Addresses[j].IPs = w.resolved[address.Hostname]
			}
		}
	}
	for key, machine := range f.Machines {
		machine.ServiceAccount = w.account
		f.Machines[key] = machine
	}
	f.Proxies = map[facts.ProxyKey]facts.ProxyState{}
	for _, group := range f.Groups {
		image, problem := f.ProxyImageOf(group)
		if problem != nil {
			continue
		}
		for _, architecture := range []string{"amd64", "arm64"} {
			if state, ok := w.pulled(image, architecture); ok {
				f.Proxies[facts.ProxyKey{Image: image, Architecture: architecture}] = state
			}
		}
	}
	return f
}

// pulled is what the section image says: nothing (the image is there), "pending", or a reason why it is not.
func (w *world) pulled(image, architecture string) (facts.ProxyState, bool) {
	switch w.image {
	case "pending":
		return facts.ProxyState{}, false
	case "":
		return facts.ProxyState{Proxy: proxyOf(image, architecture)}, true
	default:
		return facts.ProxyState{Problem: &facts.Problem{Reason: w.image, Message: "the registry said no to " + image, Next: "give it what it wants"}}, true
	}
}

// proxyOf makes up a proxy whose hashes tell the architecture.
func proxyOf(image, architecture string) *facts.Proxy {
	hash := func(letter string) string { return strings.Repeat(letter, 56) + fmt.Sprintf("%8x", architecture[:4]) }
	return &facts.Proxy{
		ProxyKey: facts.ProxyKey{Image: image, Architecture: architecture},
		Digest:   "sha256:" + hash("d"),
		Version:  "1.31.4",
		MinGlibc: "2.31",
		Files: []facts.ProxyFile{
			{Role: facts.RoleEnvoy, Path: "envoy", SHA256: hash("e"), Size: 120 << 20, CompressedSize: 35 << 20, Executable: true},
			{Role: facts.RoleBootstrapTemplate, Path: "envoy_bootstrap.json", SHA256: hash("b"), Size: 15 << 10, CompressedSize: 3 << 10},
			{Role: facts.RolePilotAgent, Path: "pilot-agent", SHA256: hash("a"), Size: 40 << 20, CompressedSize: 12 << 20, Executable: true},
		},
	}
}

func nameOf(object client.Object) string {
	return object.GetObjectKind().GroupVersionKind().Kind + " " + client.ObjectKeyFromObject(object).String()
}
