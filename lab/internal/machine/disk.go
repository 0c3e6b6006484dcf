package machine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// diskFolders are what a machine's disk consists of: where it is mounted, and the two folders of the overlay.
func diskFolders() []string { return []string{"root", "upper", "work"} }

func (s *Store) rootPath(name string) string { return s.path(name, "root") }

// create makes a machine's folder, disk and settings.
func (m *Manager) create(ctx context.Context, name string, opts Options) (_ Spec, err error) {
	if _, err := m.Spec(name); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = fmt.Errorf("machine: %s exists already (remove it first with: hawser-lab vm rm %[1]s)", name)
		}
		return Spec{}, err
	}
	// The lock keeps two machines made at once from getting the same address.
	m.addresses.Lock()
	defer m.addresses.Unlock()
	spec := Spec{Name: name, Resolved: opts.Resolved, On: !opts.Stopped}
	if spec.Address, err = m.pickAddress(opts.Address); err != nil {
		return Spec{}, err
	}
	if err := m.deleteDisk(name); err != nil {
		return Spec{}, err
	}
	if spec, err = m.install(ctx, spec); err != nil {
		return Spec{}, errors.Join(err, m.deleteDisk(name))
	}
	return spec, nil
}

// install gives a machine with a name, an address and a resolver a new disk and a new machine-id. The spec is written last: a
// folder without one is no machine, and one of before stands until then.
func (m *Manager) install(ctx context.Context, spec Spec) (_ Spec, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("machine: make %s: %w", spec.Name, err)
		}
	}()
	if err := m.clearDisk(spec.Name); err != nil {
		return Spec{}, err
	}
	spec.Rootfs, spec.Created = m.cfg.Rootfs, time.Now().UTC().Truncate(time.Second)
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return Spec{}, err
	}
	spec.MachineID = hex.EncodeToString(id)
	if spec.Copied, err = m.makeDisk(ctx, spec.Name); err != nil {
		return Spec{}, err
	}
	if err := m.mountDisk(spec); err != nil {
		return Spec{}, err
	}
	settings := settings{
		name: spec.Name, machineID: spec.MachineID, resolved: spec.Resolved, nameserver: m.cfg.Router.Addr(), search: m.cfg.SearchDomain,
	}
	if err := settings.apply(ctx, m.rootPath(spec.Name)); err != nil {
		return Spec{}, err
	}
	if err := m.unmountDisk(spec.Name); err != nil {
		return Spec{}, err
	}
	m.log.Info("machine made", "machine", spec.Name, "address", spec.Address.String(), "copied", spec.Copied)
	return spec, m.saveSpec(spec)
}

// replaceOrphan makes a machine anew whose shared root file system is gone: of its disk only the differences are left, and they
// are no machine without what they differ from. The build cache, where root file systems are, may be emptied at any time.
func (m *Manager) replaceOrphan(ctx context.Context, spec Spec) error {
	if spec.Copied {
		return nil
	}
	if _, err := os.Stat(spec.Rootfs); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.log.Warn("a machine's root file system is gone: the machine is made anew", "machine", spec.Name, "rootfs", spec.Rootfs)
	_, err := m.install(ctx, spec)
	return err
}

func (m *Manager) pickAddress(wanted netip.Addr) (netip.Addr, error) {
	specs, err := m.Specs()
	if err != nil {
		return netip.Addr{}, err
	}
	owners := map[netip.Addr]string{m.cfg.Router.Addr(): "the router"}
	for _, spec := range specs {
		owners[spec.Address] = spec.Name
	}
	if wanted.IsValid() {
		if owner, taken := owners[wanted]; taken {
			return wanted, fmt.Errorf("machine: address %s belongs to %s", wanted, owner)
		}
		if wanted.Less(m.cfg.First) || m.cfg.Last.Less(wanted) {
			return wanted, fmt.Errorf("machine: address %s is not between %s and %s", wanted, m.cfg.First, m.cfg.Last)
		}
		return wanted, nil
	}
	for addr := m.cfg.First; !m.cfg.Last.Less(addr); addr = addr.Next() {
		if _, taken := owners[addr]; !taken {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("machine: all addresses from %s to %s are taken", m.cfg.First, m.cfg.Last)
}

// makeDisk makes an empty overlay, or a full copy where the file system below cannot carry one (an overlay itself).
func (m *Manager) makeDisk(ctx context.Context, name string) (copied bool, err error) {
	for _, folder := range diskFolders() {
		if err := os.MkdirAll(m.path(name, folder), 0o755); err != nil {
			return false, err
		}
	}
	if _, err := os.Stat(filepath.Join(m.cfg.Rootfs, "usr/lib/systemd/systemd")); err != nil {
		return false, fmt.Errorf("the root file system has no systemd: %w", err)
	}
	overlayErr := m.mountOverlay(name, m.cfg.Rootfs)
	if overlayErr == nil {
		return false, m.unmountDisk(name)
	}
	m.log.Warn("no overlay possible, copying the root file system", "machine", name, "error", overlayErr)
	out, err := exec.CommandContext(ctx, "cp", "-a", "--reflink=auto", m.cfg.Rootfs+"/.", m.rootPath(name)).CombinedOutput()
	if err != nil {
		return true, fmt.Errorf("copy the root file system: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return true, nil
}

func (m *Manager) mountOverlay(name, rootfs string) error {
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", rootfs, m.path(name, "upper"), m.path(name, "work"))
	if strings.ContainsAny(rootfs+m.path(name), ",:\\") {
		return fmt.Errorf("the folders %s and %s must not contain commas, colons or backslashes", rootfs, m.path(name))
	}
	return unix.Mount("overlay", m.rootPath(name), "overlay", 0, options)
}

// mountDisk makes a machine's root visible. A disk that is mounted already stays so.
func (m *Manager) mountDisk(spec Spec) error {
	if spec.Copied || isMountPoint(m.rootPath(spec.Name)) {
		return nil
	}
	if err := m.mountOverlay(spec.Name, spec.Rootfs); err != nil {
		return fmt.Errorf("mount the overlay over %s: %w", spec.Rootfs, err)
	}
	return nil
}

func (m *Manager) unmountDisk(name string) error {
	root := m.rootPath(name)
	for isMountPoint(root) {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", root, err)
		}
	}
	return nil
}

// clearDisk removes a machine's disk and keeps what else its folder has.
func (m *Manager) clearDisk(name string) error {
	errs := []error{m.unmountDisk(name)}
	for _, folder := range diskFolders() {
		if errs[0] == nil {
			errs = append(errs, os.RemoveAll(m.path(name, folder)))
		}
	}
	return errors.Join(errs...)
}

func (m *Manager) deleteDisk(name string) error {
	if err := m.unmountDisk(name); err != nil {
		return fmt.Errorf("machine: %w", err)
	}
	// The spec first: should the rest be cut short, the folder is a leftover and no damaged machine.
	if err := os.Remove(m.path(name, "spec.json")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("machine: %w", err)
	}
	if err := os.RemoveAll(m.path(name)); err != nil {
		return fmt.Errorf("machine: delete the disk of %s: %w", name, err)
	}
	return nil
}

func isMountPoint(path string) bool {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &stat)
	return err == nil && stat.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
