// Package golden compares what a test got with a file below its testdata, and writes the file with `go test -update`. It is for
// tests only and must not be imported by anything else.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files again")

// Updating reports whether files are to be written again, for tests whose expectations are not files of their own.
func Updating() bool { return *update }

// Check fails the test if got is not what testdata/NAME holds.
func Check(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it again):\n%s", path, got)
	}
}
