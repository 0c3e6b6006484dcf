package desired_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/manager/desired"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// TestCompute runs the cases of testdata. A case is an archive: objects.yaml holds Kubernetes objects that are added to those of
// base.yaml or replace them, remove lists objects ("Kind namespace/name") that are not there, resolved gives addresses of
// host names, image is what became of pulling the image, account is whose token the machines have. For each machine there is what it gets: want/<machine>/….
func TestCompute(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f := worldOf(t, archive).facts(t)
			got := bytes.TrimSpace(txtar.Format(&txtar.Archive{Files: results(t, f)}))
			archive.Files = slices.DeleteFunc(archive.Files, func(file txtar.File) bool { return !strings.HasPrefix(file.Name, "want/") })
			want := bytes.TrimSpace(txtar.Format(&txtar.Archive{Files: archive.Files}))
			if bytes.Equal(got, want) {
				return
			}
			if !golden.Updating() {
				t.Fatalf("the result is another one; write it with -update if that is right\n--- want\n%s\n--- got\n%s", want, got)
			}
			rewrite(t, path, results(t, f))
		})
	}
}

// TestComputeIsDeterministic computes each case many times from facts that were collected in another order.
func TestComputeIsDeterministic(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range cases {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		w := worldOf(t, archive)
		first := txtar.Format(&txtar.Archive{Files: results(t, w.facts(t))})
		for range 20 {
			slices.Reverse(w.objects)
			if again := txtar.Format(&txtar.Archive{Files: results(t, w.facts(t))}); !bytes.Equal(first, again) {
				t.Fatalf("%s: two results of the same facts differ:\n%s\n%s", path, first, again)
			}
		}
	}
}

// results are the golden files of all machines, in the order of their names.
func results(t *testing.T, f facts.Facts) []txtar.File {
	t.Helper()
	var files []txtar.File
	machines := make([]facts.Machine, 0, len(f.Machines))
	for _, machine := range f.Machines {
		machines = append(machines, machine)
	}
	slices.SortFunc(machines, func(a, b facts.Machine) int { return strings.Compare(a.String(), b.String()) })
	for _, machine := range machines {
		result := desired.Compute(f, machine)
		folder := "want/" + machine.Name + "/"
		if p := result.Problem; p != nil {
			files = append(files, txtar.File{Name: folder + "problem", Data: []byte(p.Reason + ": " + p.Message + "\nnext: " + p.Next + "\n")})
			continue
		}
		files = append(files, stateFiles(t, folder, result.State)...)
	}
	return files
}

// stateFiles prints a state so that a reader sees what is in it: texts as texts.
func stateFiles(t *testing.T, folder string, state *hawserv1.DesiredState) []txtar.File {
	t.Helper()
	if state.Generation != desired.Generation(state) {
		t.Fatal("the state does not carry its own generation")
	}
	var environment strings.Builder
	for _, variable := range state.Mesh.Environment {
		environment.WriteString(variable.Name + "=" + variable.Value + "\n")
	}
	shown := proto.Clone(state).(*hawserv1.DesiredState)
	shown.Mesh = &hawserv1.MeshConfig{HostAliases: state.Mesh.HostAliases, DiscoveryAddress: state.Mesh.DiscoveryAddress}
	encoded, err := protojson.MarshalOptions{EmitDefaultValues: false}.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	// protojson puts random spaces in, so that nobody relies on its bytes.
	var compact, indented bytes.Buffer
	if err := json.Compact(&compact, encoded); err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&indented, compact.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	indented.WriteString("\n")
	return []txtar.File{
		{Name: folder + "state.json", Data: indented.Bytes()},
		{Name: folder + "mesh.yaml", Data: state.Mesh.MeshYaml},
		{Name: folder + "cluster.env", Data: []byte(environment.String())},
		{Name: folder + "root-cert.pem", Data: state.Mesh.RootCertificates},
	}
}

func rewrite(t *testing.T, path string, results []txtar.File) {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	archive.Files = slices.DeleteFunc(archive.Files, func(file txtar.File) bool { return strings.HasPrefix(file.Name, "want/") })
	archive.Files = append(archive.Files, results...)
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
