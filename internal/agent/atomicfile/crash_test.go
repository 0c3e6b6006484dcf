package atomicfile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/atomicfile/crashtest"
)

// under sets the umask of the process for the time of a test.
func under(t *testing.T, umask int) {
	before := syscall.Umask(umask)
	t.Cleanup(func() { syscall.Umask(before) })
}

// look is a directory as text: what is in it, with modes.
func look(t *testing.T, directory string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == directory {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(directory, path)
		line := fmt.Sprintf("%s %v", name, info.Mode())
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " " + target
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

// operations begin with "f" holding "old" with mode 0600, and a directory "d".
var operations = []struct {
	name        string
	do          func(w atomicfile.Writer, directory string) error
	clear       string
	before, end string
	steps       int
}{
	{
		name: "replace a file",
		do: func(w atomicfile.Writer, directory string) error {
			return w.Write(atomicfile.File{Path: directory + "/f", Mode: 0o644}, []byte("new"))
		},
		clear: "f", steps: 4,
		before: "d drwxr-xr-x\nf -rw------- old", end: "d drwxr-xr-x\nf -rw-r--r-- new",
	},
	{
		name: "make a file",
		do: func(w atomicfile.Writer, directory string) error {
			return w.Write(atomicfile.File{Path: directory + "/d/g", Mode: 0o640}, []byte("new"))
		},
		clear: "d/g", steps: 4,
		before: "d drwxr-xr-x\nf -rw------- old", end: "d drwxr-xr-x\nd/g -rw-r----- new\nf -rw------- old",
	},
	{
		name: "replace a file by a link",
		do: func(w atomicfile.Writer, directory string) error {
			return w.Link(directory+"/f", "elsewhere", nil)
		},
		clear: "f", steps: 3,
		before: "d drwxr-xr-x\nf -rw------- old", end: "d drwxr-xr-x\nf Lrwxrwxrwx elsewhere",
	},
}

func TestOperationsCutOffAnywhereAreDoneOrNot(t *testing.T) {
	under(t, 0o077)
	for _, c := range operations {
		t.Run(c.name, func(t *testing.T) {
			for n := 0; ; n++ {
				directory := world(t)
				step, err := crashtest.At(n, func(before func(string)) error {
					return c.do(atomicfile.Writer{Before: before}, directory)
				})
				if err != nil {
					t.Fatal(err)
				}
				var w atomicfile.Writer
				if err := w.Clear(filepath.Join(directory, c.clear)); err != nil {
					t.Fatal(err)
				}
				if got := look(t, directory); got != c.before && got != c.end {
					t.Errorf("crash before %q:\n%s", step, got)
				}
				if err := c.do(w, directory); err != nil {
					t.Fatal(err)
				}
				if got := look(t, directory); got != c.end {
					t.Errorf("crash before %q, then done again:\n%s", step, got)
				}
				if step == "" {
					if n != c.steps {
						t.Errorf("%d steps were crashed, want %d", n, c.steps)
					}
					return
				}
			}
		})
	}
}

func TestMakeDirectoryCutOffAnywhereIsFinishedByRepeatingIt(t *testing.T) {
	under(t, 0o077)
	for n := 0; ; n++ {
		directory := world(t)
		do := func(w atomicfile.Writer) error { return w.MakeDirectory(directory+"/d/e/", 0o711) }
		step, err := crashtest.At(n, func(before func(string)) error { return do(atomicfile.Writer{Before: before}) })
		if err != nil {
			t.Fatal(err)
		}
		if err := do(atomicfile.Writer{}); err != nil {
			t.Fatal(err)
		}
		if got, want := look(t, directory), "d drwxr-xr-x\nd/e drwx--x--x\nf -rw------- old"; got != want {
			t.Errorf("crash before %q:\n%s\nwant\n%s", step, got, want)
		}
		if step == "" {
			break
		}
	}
	directory := world(t)
	if err := (atomicfile.Writer{}).MakeDirectory(directory+"/d/1/2/3", 0o700); err != nil {
		t.Fatal(err)
	}
	if got, want := look(t, directory), "d drwxr-xr-x\nd/1 drwxr-xr-x\nd/1/2 drwxr-xr-x\nd/1/2/3 drwx------\nf -rw------- old"; got != want {
		t.Errorf("with parents:\n%s\nwant\n%s", got, want)
	}
	if err := (atomicfile.Writer{}).MakeDirectory(directory+"/f/g", 0o700); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
}

func TestFailuresLeaveTheFileAndNothingElse(t *testing.T) {
	failure := errors.New("no more")
	for _, c := range []struct {
		name string
		do   func(w atomicfile.Writer, directory string) error
		want error
	}{
		{"content breaks off", func(w atomicfile.Writer, directory string) error {
			return w.Fill(atomicfile.File{Path: directory + "/f", Mode: 0o644}, func(to io.Writer) error {
				_, err := to.Write([]byte("half"))
				return errors.Join(err, failure)
			})
		}, failure},
		{"owner cannot be set", func(w atomicfile.Writer, directory string) error {
			return w.Write(atomicfile.File{Path: directory + "/f", Own: func(*os.File) error { return failure }}, []byte("new"))
		}, failure},
		{"a directory is in the way", func(w atomicfile.Writer, directory string) error {
			return w.Write(atomicfile.File{Path: directory + "/d", Mode: 0o644}, []byte("new"))
		}, syscall.EEXIST},
		{"a directory is in the way of a link", func(w atomicfile.Writer, directory string) error {
			return w.Link(directory+"/d", "elsewhere", nil)
		}, syscall.EEXIST},
		{"owner of a link cannot be set", func(w atomicfile.Writer, directory string) error {
			return w.Link(directory+"/f", "elsewhere", func(string) error { return failure })
		}, failure},
		{"no directory", func(w atomicfile.Writer, directory string) error {
			return w.Write(atomicfile.File{Path: directory + "/none/f"}, nil)
		}, fs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			directory := world(t)
			before := look(t, directory)
			if err := c.do(atomicfile.Writer{}, directory); !errors.Is(err, c.want) || !strings.Contains(err.Error(), directory) {
				t.Errorf("error %v, want one that names the path and is %v", err, c.want)
			}
			if after := look(t, directory); after != before {
				t.Errorf("before\n%s\nafter\n%s", before, after)
			}
		})
	}
}

func TestOwnerAndModeComeBeforeTheContent(t *testing.T) {
	directory := world(t)
	var seen []string
	err := (atomicfile.Writer{}).Fill(atomicfile.File{Path: directory + "/f", Mode: 0o400, Own: func(file *os.File) error {
		info, err := file.Stat()
		seen = append(seen, fmt.Sprintf("%v %d", info.Mode(), info.Size()))
		return err
	}}, func(to io.Writer) error {
		info, err := to.(*os.File).Stat()
		seen = append(seen, info.Mode().String())
		return err
	})
	if want := []string{"-rw------- 0", "-r--------"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("seen %q, %v, want %q", seen, err, want)
	}
}

func TestClearRemovesLeftoversOfItsFileOnly(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"f", ".hawser-new-f-123", ".hawser-new-f--123", ".hawser-new-f-g-5", "x.hawser-new-f-1", ".hawser-new-d"} {
		path := filepath.Join(directory, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	var w atomicfile.Writer
	for _, path := range []string{"f", "none", "none/none", "f/below-a-file"} {
		if err := w.Clear(filepath.Join(directory, path)); err != nil {
			t.Fatal(err)
		}
	}
	names, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, entry := range names {
		left = append(left, entry.Name())
	}
	if got, want := strings.Join(left, " "), ".hawser-new-d .hawser-new-f--123 .hawser-new-f-g-5 f x.hawser-new-f-1"; got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
	if err := w.ClearDirectory(directory); err != nil {
		t.Fatal(err)
	}
	if got := look(t, directory); got != "f -rw------- \nx.hawser-new-f-1 -rw------- " {
		t.Errorf("left in the cleared directory:\n%s", got)
	}
}

// world is a directory as operations find it.
func world(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	err := errors.Join(os.Mkdir(directory+"/d", 0o755), os.Chmod(directory+"/d", 0o755), os.WriteFile(directory+"/f", []byte("old"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return directory
}
