package proxy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile/crashtest"
)

const installed = `/abc123 drwxr-xr-x 0:0
/abc123/bootstrap drwxr-xr-x 0:0
/abc123/bootstrap/envoy.json -rw-r--r-- 0:0 "{}"
/abc123/envoy -rwxr-xr-x 0:0 "the bytes of Envoy the bytes of Envoy th
/abc123/pilot-agent -rwxr-xr-x 0:0 "the bytes of pilot-agent"`

// underAgentsUmask gives the process the umask that the agent's unit sets: the proxy's user must get at its files all the same.
func underAgentsUmask(t *testing.T) {
	before := syscall.Umask(0o077)
	t.Cleanup(func() { syscall.Umask(before) })
}

// TestInstallCutOffAnywhere crashes an installation before each change of the file system. There is all of a version or none,
// and repeating finishes it with nothing left over.
func TestInstallCutOffAnywhere(t *testing.T) {
	underAgentsUmask(t)
	list, manager := files(t)
	for n, cut := 0, "none"; cut != ""; n++ {
		d := newDisk(t)
		var err error
		cut, err = crashtest.At(n, func(before func(string)) error {
			return d.versions(manager, before).Install(t.Context(), version, list)
		})
		if err != nil {
			t.Fatal(err)
		}
		again := d.versions(manager, nil)
		whole, err := again.Whole(version, list)
		_, statErr := os.Stat(filepath.Join(d.directory, version))
		if err != nil || whole != (statErr == nil) {
			t.Errorf("cut off before %q: whole %t, %v, %v", cut, whole, err, statErr)
		}
		if err := again.Install(t.Context(), version, list); err != nil {
			t.Fatalf("cut off before %q, then done again: %v", cut, err)
		}
		if got := d.text(); got != installed {
			t.Errorf("cut off before %q, then done again:\n%s\nwant\n%s", cut, got, installed)
		}
	}
}

func TestTransferGoesOnWhereItWas(t *testing.T) {
	list, manager := files(t)
	d := newDisk(t)
	total := 0
	for _, content := range manager.compressed {
		total += len(content)
	}
	attempts := 0
	for manager.cutAfter = 9; ; manager.cutAfter = 9 {
		err := d.versions(manager, nil).Install(t.Context(), version, list)
		if err == nil {
			break
		}
		if !errors.Is(err, errCut) || !strings.Contains(err.Error(), "bytes are here") {
			t.Fatal(err)
		}
		attempts++
	}
	if attempts < 5 || manager.sent != total {
		t.Errorf("%d attempts sent %d bytes of %d", attempts, manager.sent, total)
	}
	if got := d.text(); got != installed {
		t.Errorf("installed:\n%s", got)
	}
}

// TestDamage is repaired by installing again, and seen by an agent that has just started as well as by one that installed it.
func TestDamage(t *testing.T) {
	at := func(d disk, path string) string { return filepath.Join(d.directory, version, path) }
	for _, c := range []struct {
		name   string
		damage func(d disk) error
	}{
		{"file is gone", func(d disk) error { return os.Remove(at(d, "envoy")) }},
		{"other bytes of the same length", func(d disk) error {
			return os.WriteFile(at(d, "pilot-agent"), []byte("THE BYTES OF PILOT-AGENT"), 0o755)
		}},
		{"shorter", func(d disk) error { return os.Truncate(at(d, "envoy"), 5) }},
		{"not executable", func(d disk) error { return os.Chmod(at(d, "envoy"), 0o644) }},
		{"writable for others", func(d disk) error { return os.Chmod(at(d, "envoy"), 0o757) }},
		{"a link in place of a file", func(d disk) error {
			return errors.Join(os.Remove(at(d, "envoy")), os.Symlink("/bin/true", at(d, "envoy")))
		}},
		{"nobody may enter", func(d disk) error { return os.Chmod(at(d, ""), 0o700) }},
		{"nobody may enter a directory in it", func(d disk) error { return os.Chmod(at(d, "bootstrap"), 0o711) }},
		{"all is gone", func(d disk) error { return os.RemoveAll(at(d, "")) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, manager := files(t)
			d := newDisk(t)
			same := d.versions(manager, nil)
			if err := errors.Join(same.Install(t.Context(), version, list), c.damage(d)); err != nil {
				t.Fatal(err)
			}
			for name, versions := range map[string]*Versions{"same": same, "fresh": d.versions(manager, nil)} {
				if whole, err := versions.Whole(version, list); err != nil || whole {
					t.Errorf("%s agent: whole %t, %v", name, whole, err)
				}
			}
			if err := same.Install(t.Context(), version, list); err != nil {
				t.Fatal(err)
			}
			if got := d.text(); got != installed {
				t.Errorf("installed again:\n%s", got)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	content := func(t *testing.T, err error) {
		if _, ok := errors.AsType[*ContentError](err); !ok || !strings.Contains(err.Error(), "restart the manager") {
			t.Errorf("install: %v, want a ContentError", err)
		}
	}
	illegal := func(t *testing.T, err error) {
		if err == nil || !strings.Contains(err.Error(), "install proxy version") {
			t.Errorf("install: %v", err)
		}
	}
	for _, c := range []struct {
		name    string
		version string
		change  func(list []*hawserv1.ProxyFile, manager *fakeManager)
		check   func(t *testing.T, err error)
	}{
		{"other bytes", version, func(list []*hawserv1.ProxyFile, m *fakeManager) {
			m.compressed[list[1].Sha256] = m.compressed[list[0].Sha256]
		}, content},
		{"longer than announced", version, func(list []*hawserv1.ProxyFile, _ *fakeManager) { list[1].Size = 7 }, content},
		{"not compressed", version, func(list []*hawserv1.ProxyFile, m *fakeManager) { m.compressed[list[1].Sha256] = []byte("no zstd") }, content},
		{"unknown artifact", version, func(list []*hawserv1.ProxyFile, m *fakeManager) { delete(m.compressed, list[1].Sha256) }, func(t *testing.T, err error) {
			if err == nil || !strings.Contains(err.Error(), "envoy") || !strings.Contains(err.Error(), "no such artifact") {
				t.Errorf("install: %v", err)
			}
		}},
		{"no space", version, func(list []*hawserv1.ProxyFile, _ *fakeManager) { list[1].Size = 1 << 60 }, func(t *testing.T, err error) {
			if space, ok := errors.AsType[*SpaceError](err); !ok || space.Need < 1<<60 || space.Free == 0 || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("install: %v, want a SpaceError", err)
			}
		}},
		{"path leads out", version, func(list []*hawserv1.ProxyFile, _ *fakeManager) { list[1].Path = "../envoy" }, illegal},
		{"hash is a path", version, func(list []*hawserv1.ProxyFile, _ *fakeManager) { list[1].Sha256 = "../../x" }, illegal},
		{"version is a path", "../x", func([]*hawserv1.ProxyFile, *fakeManager) {}, illegal},
		{"no version", "", func([]*hawserv1.ProxyFile, *fakeManager) {}, illegal},
	} {
		t.Run(c.name, func(t *testing.T) {
			list, manager := files(t)
			c.change(list, manager)
			d := newDisk(t)
			for range 2 {
				c.check(t, d.versions(manager, nil).Install(t.Context(), c.version, list))
				if _, err := os.Stat(filepath.Join(d.directory, version)); err == nil {
					t.Errorf("there is a version:\n%s", d.text())
				}
			}
			// What the manager makes good goes on without help.
			good, manager := files(t)
			if err := d.versions(manager, nil).Install(t.Context(), version, good); err != nil {
				t.Fatal(err)
			}
			if got := d.text(); got != installed {
				t.Errorf("installed:\n%s", got)
			}
		})
	}
	if err := newDisk(t).versions(nil, nil).Install(t.Context(), version, nil); err == nil {
		t.Error("a version without files was installed")
	}
}

func TestListAndRemove(t *testing.T) {
	list, manager := files(t)
	d := newDisk(t)
	versions := d.versions(manager, nil)
	if names, err := versions.List(); err != nil || names != nil {
		t.Errorf("list of nothing: %q, %v", names, err)
	}
	if err := versions.Install(t.Context(), version, list); err != nil {
		t.Fatal(err)
	}
	for _, directory := range []string{".staging-def456", ".staging-" + version, "lost+found"} {
		if err := os.Mkdir(filepath.Join(d.directory, directory), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := versions.List(); err != nil || !slices.Equal(slices.Sorted(slices.Values(names)), []string{version, "def456"}) {
		t.Errorf("list: %q, %v", names, err)
	}
	for _, name := range []string{version, "def456", "def456"} {
		if err := versions.Remove(name); err != nil {
			t.Error(err)
		}
	}
	if got := d.text(); got != "/lost+found drwxr-xr-x 0:0" && got != "/lost+found drwx------ 0:0" {
		t.Errorf("left:\n%s", got)
	}
	if err := versions.Remove("../versions"); err == nil {
		t.Error("a path was removed")
	}
}
