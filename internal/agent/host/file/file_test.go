package file_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/atomicfile/crashtest"
	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/host/file/filetest"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

var (
	root  = file.Number(plan.Root)
	proxy = file.Number(plan.Proxy)
	other = file.ID{UID: 12, GID: 34}
)

// world is a tree with a file of the host's, a link to it, a link to nothing, and a directory.
type world struct {
	*testing.T
	root   string
	owners *filetest.Owners
}

func newWorld(t *testing.T) world {
	w := world{t, t.TempDir(), filetest.New(t)}
	tree := w.tree(nil)
	err := errors.Join(
		tree.Write("/hosts", []byte("old"), 0o640, other),
		tree.MakeDirectory("/d", 0o750|fs.ModeSetgid, other),
		tree.Write("/d/in", []byte("in"), 0o600, root),
		tree.Link("/link", "d/../hosts", other),
		tree.Link("/dangling", "/d/none", root),
	)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

const before = `/d dgrwxr-x--- 12:34
/d/in -rw------- 0:0 "in"
/dangling Lrwxrwxrwx 0:0 -> /d/none
/hosts -rw-r----- 12:34 "old"
/link Lrwxrwxrwx 12:34 -> d/../hosts
`

func (w world) tree(before func(string)) *file.Tree {
	return file.New(w.root, w.owners, atomicfile.Writer{Before: before})
}

func (w world) text() string { return filetest.Text(w, w.root, w.owners) }

// changed is before with lines replaced; an empty replacement removes one, and further lines are put where they belong.
func changed(pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(before)
}

// TestChanges makes each change, crashed before each of its steps, under the umask of the agent's unit.
func TestChanges(t *testing.T) {
	umask := syscall.Umask(0o077)
	defer syscall.Umask(umask)
	const hostsLine, inLine, danglingLine = "/hosts -rw-r----- 12:34 \"old\"\n", "/d/in -rw------- 0:0 \"in\"\n", "/dangling Lrwxrwxrwx 0:0 -> /d/none\n"
	for _, c := range []struct {
		name string
		do   func(tree *file.Tree) error
		want string
	}{
		{"replace a file", func(tree *file.Tree) error { return tree.Write("/hosts", []byte("new"), 0o400, proxy) },
			changed(hostsLine, "/hosts -r-------- 1337:1337 \"new\"\n")},
		{"make a file", func(tree *file.Tree) error { return tree.Write("/d/new", nil, 0o644, root) },
			changed(inLine, inLine+"/d/new -rw-r--r-- 0:0 \"\"\n")},
		{"replace a link by a file", func(tree *file.Tree) error { return tree.Write("/dangling", []byte("x"), 0o600, root) },
			changed(danglingLine, "/dangling -rw------- 0:0 \"x\"\n")},
		{"edit a file", func(tree *file.Tree) error { return tree.Edit("/hosts", []byte("new")) },
			changed(hostsLine, "/hosts -rw-r----- 12:34 \"new\"\n")},
		{"edit a file by a link", func(tree *file.Tree) error { return tree.Edit("/link", []byte("new")) },
			changed(hostsLine, "/hosts -rw-r----- 12:34 \"new\"\n")},
		{"edit a file that a link names", func(tree *file.Tree) error { return tree.Edit("/dangling", []byte("new")) },
			changed(inLine, inLine+"/d/none -rw-r--r-- 0:0 \"new\"\n")},
		{"make a directory", func(tree *file.Tree) error { return tree.MakeDirectory("/d/new", 0o711, proxy) },
			changed(inLine, inLine+"/d/new drwx--x--x 1337:1337\n")},
		{"make a directory with its parents", func(tree *file.Tree) error { return tree.MakeDirectory("/d/1/2", 0o700, proxy) },
			changed(inLine, "/d/1 drwxr-xr-x 0:0\n/d/1/2 drwx------ 1337:1337\n"+inLine)},
		{"directory of another mode and owner", func(tree *file.Tree) error { return tree.MakeDirectory("/d", 0o755, root) },
			changed("/d dgrwxr-x--- 12:34\n", "/d drwxr-xr-x 0:0\n")},
		{"directory in place of a file", func(tree *file.Tree) error { return tree.MakeDirectory("/hosts", 0o700, root) },
			changed(hostsLine, "/hosts drwx------ 0:0\n")},
		{"directory in place of a link", func(tree *file.Tree) error { return tree.MakeDirectory("/dangling", 0o700, root) },
			changed(danglingLine, "/dangling drwx------ 0:0\n")},
		{"replace a link", func(tree *file.Tree) error { return tree.Link("/dangling", "elsewhere", proxy) },
			changed(danglingLine, "/dangling Lrwxrwxrwx 1337:1337 -> elsewhere\n")},
		{"link in place of a directory", func(tree *file.Tree) error { return tree.Link("/d", "hosts", root) },
			changed("/d dgrwxr-x--- 12:34\n", "/d Lrwxrwxrwx 0:0 -> hosts\n", inLine, "")},
		{"remove a file", func(tree *file.Tree) error { return tree.Remove("/hosts") }, changed(hostsLine, "")},
		{"remove a link", func(tree *file.Tree) error { return tree.Remove("/link") }, changed("/link Lrwxrwxrwx 12:34 -> d/../hosts\n", "")},
		{"remove nothing", func(tree *file.Tree) error { return errors.Join(tree.Remove("/none"), tree.RemoveAll("/none/none")) }, before},
		{"remove a directory with all", func(tree *file.Tree) error { return tree.RemoveAll("/d") }, changed("/d dgrwxr-x--- 12:34\n", "", inLine, "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			for n, cut := 0, "none"; cut != ""; n++ {
				w := newWorld(t)
				var err error
				if cut, err = crashtest.At(n, func(before func(string)) error { return c.do(w.tree(before)) }); err != nil {
					t.Fatal(err)
				}
				if err := c.do(w.tree(nil)); err != nil {
					t.Fatal(err)
				}
				if got := w.text(); got != c.want {
					t.Fatalf("cut off before %q and done again:\n%s\nwant\n%s", cut, got, c.want)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(tree *file.Tree) error
		want error
	}{
		{"remove a directory that is not empty", func(tree *file.Tree) error { return tree.Remove("/d") }, syscall.ENOTEMPTY},
		{"set a directory that is a link", func(tree *file.Tree) error {
			return errors.Join(tree.Link("/to-d", "d", root), tree.SetDirectory("/to-d", 0o777, proxy), tree.Remove("/to-d"))
		}, syscall.ENOTDIR},
		{"set a directory that is not there", func(tree *file.Tree) error { return tree.SetDirectory("/none", 0o777, proxy) }, fs.ErrNotExist},
		{"links in a circle", func(tree *file.Tree) error {
			return errors.Join(tree.Link("/1", "2", root), tree.Link("/2", "/1", root), tree.Edit("/1", nil), tree.Remove("/1"), tree.Remove("/2"))
		}, syscall.ELOOP},
		{"write where no directory is", func(tree *file.Tree) error { return tree.Write("/none/f", nil, 0o600, root) }, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			if err := c.do(w.tree(nil)); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if got := w.text(); got != before {
				t.Errorf("the tree is\n%s", got)
			}
		})
	}
}

func TestRead(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]plan.File{
		"/hosts":    {Mode: 0o640, Content: []byte("old")},
		"/d/in":     {Mode: 0o600, Owner: plan.Root, Content: []byte("in")},
		"/dangling": {Mode: fs.ModeSymlink | 0o777, Owner: plan.Root, Target: "/d/none"},
		"/d":        {Mode: fs.ModeDir | fs.ModeSetgid | 0o750},
	} {
		if got, err := w.tree(nil).Read(path); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", path, got, err, want)
		}
	}
	if _, err := w.tree(nil).Read("/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing: %v", err)
	}
}

func TestKernelKeepsOwners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	opened, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	own := file.ID{UID: os.Getuid(), GID: os.Getgid()}
	if err := errors.Join((file.Kernel{}).Give(opened, own), (file.Kernel{}).GiveLink(path, own)); err != nil {
		t.Fatal(err)
	}
	info, err := opened.Stat()
	if got := (file.Kernel{}).Of(path, info); err != nil || got != own {
		t.Errorf("owner %v, %v, want %v", got, err, own)
	}
}
