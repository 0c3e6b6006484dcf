package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// ID is a user and a group by their numbers.
type ID struct{ UID, GID int }

// Owners keeps whom files belong to.
type Owners interface {
	// Give makes an open file or directory belong to id.
	Give(file *os.File, id ID) error
	// GiveLink makes a symbolic link belong to id, not what it leads to.
	GiveLink(path string, id ID) error
	// Of tells whom a file belongs to.
	Of(path string, info fs.FileInfo) ID
}

// Tree is a file system below a root directory. All paths are absolute within it.
type Tree struct {
	root   string
	owners Owners
	files  atomicfile.Writer
}

// New returns the tree below root; an empty root is the host's own.
func New(root string, owners Owners, files atomicfile.Writer) *Tree {
	return &Tree{root: root, owners: owners, files: files}
}

// Path is where a file of the tree is for this process.
func (t *Tree) Path(path string) string { return filepath.Join("/", t.root, path) }

// Kernel is the ownership that the kernel keeps; setting it takes root.
type Kernel struct{}

// Give implements Owners.
func (Kernel) Give(file *os.File, id ID) error { return file.Chown(id.UID, id.GID) }

// GiveLink implements Owners.
func (Kernel) GiveLink(path string, id ID) error { return os.Lchown(path, id.UID, id.GID) }

// Of implements Owners.
func (Kernel) Of(_ string, info fs.FileInfo) ID {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ID{-1, -1}
	}
	return ID{int(status.Uid), int(status.Gid)}
}

// Permissions are the bits of a mode that chmod(2) sets.
func Permissions(mode fs.FileMode) fs.FileMode {
	return mode & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
}

// Number gives an owner's numbers.
func Number(owner plan.Owner) ID {
	if owner == plan.Proxy {
		return ID{plan.AccountID, plan.AccountID}
	}
	return ID{}
}

func name(id ID) plan.Owner {
	switch id {
	case Number(plan.Root):
		return plan.Root
	case Number(plan.Proxy):
		return plan.Proxy
	default:
		return ""
	}
}

// Read tells what is at path. An error that is fs.ErrNotExist says that nothing is.
func (t *Tree) Read(path string) (plan.File, error) {
	at := t.Path(path)
	info, err := os.Lstat(at)
	if err != nil {
		return plan.File{}, err
	}
	file := plan.File{Mode: info.Mode(), Owner: name(t.owners.Of(at, info))}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		file.Target, err = os.Readlink(at)
	case info.Mode().IsRegular():
		file.Content, err = os.ReadFile(at)
	}
	return file, err
}

// Resolve follows symbolic links to the file that a path means. A link that leads nowhere means the file that it names.
func (t *Tree) Resolve(path string) (string, error) {
	for range 10 {
		target, err := os.Readlink(t.Path(path))
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
		if err != nil {
			return "", err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	return "", fmt.Errorf("%s: %w", path, syscall.ELOOP)
}
