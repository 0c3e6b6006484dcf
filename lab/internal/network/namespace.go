package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// createNamespace makes a network namespace and pins it to a file, where it lives without a process.
func createNamespace(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	made := make(chan error)
	go func() {
		// The thread changes its namespace for good. It stays locked, so the runtime ends it with this goroutine.
		runtime.LockOSThread()
		made <- pinNewNamespace(path)
	}()
	if err := <-made; err != nil {
		return errors.Join(fmt.Errorf("network: create namespace %s: %w", path, err), os.Remove(path))
	}
	return nil
}

func pinNewNamespace(path string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	own := fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid())
	if err := unix.Mount(own, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

// deleteNamespace unpins a namespace and removes its file, if they are there.
func deleteNamespace(path string) error {
	err := unix.Unmount(path, unix.MNT_DETACH)
	// EINVAL: a file that nothing is mounted on, left by a crash.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("network: unmount namespace %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("network: remove namespace %s: %w", path, err)
	}
	return nil
}

func openNamespace(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("network: open namespace: %w", err)
	}
	return file, nil
}

func handleAt(namespace int) (*netlink.Handle, error) {
	return netlink.NewHandleAt(netns.NsHandle(namespace), unix.NETLINK_ROUTE)
}

// attached lists the machines that have a file in the folder of namespaces.
func (n *Network) attached() ([]string, error) {
	entries, err := os.ReadDir(n.cfg.NetnsDir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("network: list namespaces: %w", err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, nil
}

// clearStaleNamespaces removes files whose mount went away with the mount namespace of an earlier lab.
func (n *Network) clearStaleNamespaces() error {
	names, err := n.attached()
	if err != nil {
		return err
	}
	for _, name := range names {
		path := n.namespacePath(name)
		var fs unix.Statfs_t
		if err := unix.Statfs(path, &fs); err == nil && fs.Type == unix.NSFS_MAGIC {
			continue
		}
		if err := deleteNamespace(path); err != nil {
			return err
		}
	}
	return nil
}
