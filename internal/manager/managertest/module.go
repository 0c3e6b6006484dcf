package managertest

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// IstioModule returns the directory of Istio's source, as the lab's go.mod names it: its test data is what ours is held against.
func IstioModule(t *testing.T) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	download := exec.Command("go", "mod", "download", "-json", "istio.io/istio")
	download.Dir = filepath.Join(filepath.Dir(here), "../../../lab")
	out, err := download.Output()
	var module struct{ Dir string }
	if err := errors.Join(err, json.Unmarshal(out, &module)); err != nil {
		t.Fatalf("find Istio's module through the lab's go.mod: %v", err)
	}
	return module.Dir
}
