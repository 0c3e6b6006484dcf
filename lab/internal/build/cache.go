package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Cache keeps build outputs as directories, each complete or absent, below one root.
type Cache struct {
	root string
}

// OpenCache uses the directory given, or ${HAWSER_CACHE:-${XDG_CACHE_HOME:-~/.cache}/hawser} for "". Nothing is created
// before the first output.
func OpenCache(root string) (*Cache, error) {
	if root == "" {
		root = os.Getenv("HAWSER_CACHE")
	}
	if root == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find the build cache: %w; set HAWSER_CACHE to a directory", err)
		}
		root = filepath.Join(base, "hawser")
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("build cache %s: %w", root, err)
	}
	return &Cache{root: root}, nil
}

// Root is the directory that all outputs are in.
func (c *Cache) Root() string { return c.root }

// Output returns the directory NAME-KEY, which it has produce fill if it does not exist. produce gets an empty directory on
// the same file system; an error leaves nothing behind. Two processes that want the same output wait for one
// another.
func (c *Cache) Output(ctx context.Context, name string, key Key, produce func(ctx context.Context, dir string) error) (string, error) {
	final := filepath.Join(c.root, name+"-"+key.String())
	if exists(final) {
		return final, nil
	}
	unlock, err := c.lock(name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(final) {
		return final, nil
	}
	partial := filepath.Join(c.root, ".partial-"+name)
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(partial, 0o755)); err != nil {
		return "", fmt.Errorf("build %s: prepare the cache: %w", name, err)
	}
	if err := produce(ctx, partial); err != nil {
		return "", errors.Join(fmt.Errorf("build %s: %w", name, err), os.RemoveAll(partial))
	}
	if err := os.Rename(partial, final); err != nil {
		return "", fmt.Errorf("build %s: keep the output: %w", name, err)
	}
	return final, nil
}

// lock serialises the making of one output across processes; the kernel frees it with the process.
func (c *Cache) lock(name string) (unlock func(), err error) {
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		return nil, fmt.Errorf("create the build cache: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(c.root, ".lock-"+name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the build cache: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the build cache: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
