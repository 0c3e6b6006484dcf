package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// settings is what makes one machine out of the shared root file system.
type settings struct {
	name       string
	machineID  string
	resolved   bool
	nameserver netip.Addr
	search     string
}

// file is a file to be written, or a link where target is set.
type file struct {
	path    string
	content string
	target  string
}

// files are the texts that a provider's image and its first boot would have written.
func (s settings) files() []file {
	files := []file{
		{path: "etc/hostname", content: s.name + "\n"},
		{path: "etc/machine-id", content: s.machineID + "\n"},
		{path: "etc/hosts", content: "127.0.0.1\tlocalhost\n127.0.1.1\t" + s.name + "\n\n" +
			"::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"},
	}
	// Work that would start by itself at some time, with no registry to reach, and a login on a console without a keyboard.
	for _, unit := range []string{"apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service"} {
		files = append(files, file{path: "etc/systemd/system/" + unit, target: "/dev/null"})
	}
	if s.resolved {
		return append(files,
			file{path: "etc/resolv.conf", target: "../run/systemd/resolve/stub-resolv.conf"},
			file{path: "etc/systemd/resolved.conf.d/lab.conf", content: fmt.Sprintf("[Resolve]\nDNS=%s\nDomains=%s\n", s.nameserver, s.search)})
	}
	return append(files, file{path: "etc/resolv.conf", content: fmt.Sprintf("nameserver %s\nsearch %s\n", s.nameserver, s.search)})
}

// removed are files of the building machine that no machine should have.
func (s settings) removed() []string {
	return []string{
		"etc/.resolv.conf.systemd-resolved.bak",
		"etc/ssh/ssh_host_rsa_key", "etc/ssh/ssh_host_rsa_key.pub", "etc/ssh/ssh_host_ecdsa_key", "etc/ssh/ssh_host_ecdsa_key.pub",
		"etc/ssh/ssh_host_ed25519_key", "etc/ssh/ssh_host_ed25519_key.pub",
	}
}

// apply settles a root file system that no machine runs from.
func (s settings) apply(ctx context.Context, root string) (err error) {
	if err := s.checkResolver(root); err != nil {
		return err
	}
	// Maintainer scripts write to /dev/null, and the root file system has no devices.
	if err := unix.Mount("/dev", path.Join(root, "dev"), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show /dev in %s: %w", root, err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(path.Join(root, "dev"), unix.MNT_DETACH)) }()
	if !s.resolved {
		if err := inRoot(ctx, root, "/usr/bin/dpkg", "--purge", "libnss-resolve", "systemd-resolved"); err != nil {
			return err
		}
	}
	tree, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer tree.Close()
	for _, name := range s.removed() {
		if err := tree.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, f := range s.files() {
		if err := f.write(tree); err != nil {
			return err
		}
	}
	if _, err := tree.Stat("usr/bin/ssh-keygen"); err != nil {
		return nil // a root file system without SSH
	}
	return inRoot(ctx, root, "/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "root@"+s.name, "-f", "/etc/ssh/ssh_host_ed25519_key")
}

func (s settings) checkResolver(root string) error {
	if !s.resolved {
		return nil
	}
	if _, err := os.Stat(path.Join(root, "usr/lib/systemd/systemd-resolved")); err != nil {
		return fmt.Errorf("the root file system has no systemd-resolved: %w", err)
	}
	return nil
}

func (f file) write(tree *os.Root) error {
	if err := tree.MkdirAll(path.Dir(f.path), 0o755); err != nil {
		return err
	}
	// What is there may be a link that leads elsewhere.
	if err := tree.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f.target != "" {
		return tree.Symlink(f.target, f.path)
	}
	return tree.WriteFile(f.path, []byte(f.content), 0o644)
}

// inRoot runs a program of the root file system with that as its root.
func inRoot(ctx context.Context, root string, argv ...string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("run %s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
