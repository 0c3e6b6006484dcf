package machine

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/lab/internal/golden"
)

func TestSettingsFiles(t *testing.T) {
	for name, resolved := range map[string]bool{"plain": false, "resolved": true} {
		t.Run(name, func(t *testing.T) {
			s := settings{
				name: "ratings-vm-1", machineID: "0123456789abcdef0123456789abcdef", resolved: resolved,
				nameserver: netip.MustParseAddr("172.31.0.1"), search: "lab.internal",
			}
			var b strings.Builder
			for _, f := range s.files() {
				if f.target != "" {
					fmt.Fprintf(&b, "-- %s -> %s\n", f.path, f.target)
					continue
				}
				fmt.Fprintf(&b, "-- %s\n%s", f.path, f.content)
			}
			golden.Check(t, name+".files", b.String())
		})
	}
}

func TestNspawnArgv(t *testing.T) {
	argv := cgroups{"/sys/fs/cgroup/systemd/machines/db"}.join(nspawnArgv("db", "/lab/db/root", "/run/netns/db"))
	golden.Check(t, "nspawn.argv", strings.Join(argv, "\n")+"\n")
}

// A root file system may hold links that lead out of it; nothing is written through them.
func TestFilesStayInTheTree(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "hostname")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), filepath.Join(root, "escape")); err != nil {
		t.Fatal(err)
	}
	tree, err := os.OpenRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if err := (file{path: "hostname", content: "db\n"}).write(tree); err != nil {
		t.Error(err)
	}
	if err := (file{path: "escape/outside", content: "db\n"}).write(tree); err == nil {
		t.Error("a file was written through a link that leads out of the tree")
	}
	if got, _ := os.ReadFile(outside); string(got) != "untouched" {
		t.Errorf("the file outside reads %q", got)
	}
}
