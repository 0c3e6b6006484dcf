package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Debian's release and mirror. The mirror is the name that Debian serves from near everywhere.
const (
	debianSuite  = "bookworm"
	debianMirror = "http://deb.debian.org/debian"
)

// Debootstrap makes a Debian root file system of the variant minbase with the packages given and returns its directory,
// which is shared: use it as the lower layer of an overlay or copy it, and never write into it. It needs root. Device
// files, package lists and documentation are left out, and so is the machine's identity (machine-id, host name).
func (c *Cache) Debootstrap(ctx context.Context, name string, packages []string) (string, error) {
	packages = slices.Compact(slices.Sorted(slices.Values(packages)))
	key, err := NewInputs("debootstrap 1").Text(debianSuite, debianMirror, runtime.GOARCH).Text(packages...).Key()
	if err != nil {
		return "", err
	}
	dir, err := c.Output(ctx, "rootfs-"+name, key, func(ctx context.Context, dir string) error {
		root := filepath.Join(dir, "root")
		args := []string{"--variant=minbase"}
		if len(packages) > 0 {
			args = append(args, "--include="+strings.Join(packages, ","))
		}
		if _, err := run(ctx, dir, "debootstrap", append(args, debianSuite, root, debianMirror)...); err != nil {
			return err
		}
		return slimRoot(root)
	})
	return filepath.Join(dir, "root"), err
}

// slimRoot removes what a machine of the lab does not need or must have of its own.
func slimRoot(root string) error {
	var errs []error
	for _, pattern := range []string{
		"dev/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*.log",
		"usr/share/doc/*", "usr/share/man/*", "usr/share/info/*", "usr/share/locale/*",
		"etc/machine-id", "etc/hostname", "etc/resolv.conf",
	} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		errs = append(errs, err)
		for _, path := range paths {
			errs = append(errs, os.RemoveAll(path))
		}
	}
	return errors.Join(errs...)
}
