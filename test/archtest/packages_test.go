package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/hawser-io/hawser"

// goPackage is what the rules need of one package, in the words of `go list -json`.
type goPackage struct {
	ImportPath string
	Name       string
	Dir        string
	Doc        string
	Standard   bool
	GoFiles    []string
	Imports    []string
	Deps       []string
}

// listPackages returns the packages that the patterns match, without their tests, by import path.
func listPackages(t *testing.T, patterns ...string) map[string]goPackage {
	t.Helper()
	args := append([]string{"list", "-json=ImportPath,Name,Dir,Doc,Standard,GoFiles,Imports,Deps"}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", strings.Join(patterns, " "), err, stderr.String())
	}
	found := map[string]goPackage{}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatalf("decode the output of go list: %v", err)
		}
		found[p.ImportPath] = p
	}
}
