package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
)

// Reader gets files by the hash of their content.
type Reader interface {
	// ReadArtifact returns the zstd-compressed form of a file, named by the SHA-256 of its uncompressed content, from an
	// offset in the compressed form on.
	ReadArtifact(ctx context.Context, sha256 string, offset int64) (io.ReadCloser, error)
}

// Versions is the directory with one directory for each version.
type Versions struct {
	directory string
	reader    Reader
	seen      seen
	disk      atomicfile.Writer
}

// New returns the versions in directory, which need not exist yet.
func New(directory string, reader Reader, disk atomicfile.Writer) *Versions {
	return &Versions{directory: directory, reader: reader, disk: disk}
}

// staging is the prefix of directories that are being filled.
const staging = ".staging-"

// Install brings all files of a version here. It takes up where an earlier call was cut off, and does nothing if all is there.
// Errors are of type *SpaceError or *ContentError, or name the file and the system's or the manager's reason.
func (v *Versions) Install(ctx context.Context, version string, files []*hawserv1.ProxyFile) error {
	if !legal(version) || len(files) == 0 {
		return fmt.Errorf("install proxy version %q: the desired state names no files for it", version)
	}
	for _, f := range files {
		if !filepath.IsLocal(f.GetPath()) || !legal(f.GetSha256()) {
			return fmt.Errorf("install proxy version %.12s: illegal file name or hash %q %q", version, f.GetPath(), f.GetSha256())
		}
	}
	whole, err := v.Whole(version, files)
	if err != nil || whole {
		return err
	}
	stage := filepath.Join(v.directory, staging+version)
	// The proxy's user enters it.
	err = v.disk.MakeDirectory(stage, 0o755)
	if err == nil {
		err = v.sweep(stage, func(path string) bool { return named(files, path) || partOf(files, path) })
	}
	if err != nil {
		return fmt.Errorf("install proxy version %.12s: %w", version, err)
	}
	if err := v.checkSpace(stage, files); err != nil {
		return err
	}
	for _, f := range files {
		if err := v.installFile(ctx, stage, f); err != nil {
			return v.explain(err, f, files)
		}
	}
	err = v.sweep(stage, func(path string) bool { return named(files, path) })
	if err == nil {
		err = v.publish(stage, version)
	}
	if err != nil {
		return fmt.Errorf("install proxy version %.12s: %w", version, err)
	}
	for _, f := range files {
		v.seen.learn(filepath.Join(v.directory, version, f.GetPath()), f.GetSha256())
	}
	return nil
}

// explain turns a full disk into an error that says how much is missing.
func (v *Versions) explain(err error, f *hawserv1.ProxyFile, files []*hawserv1.ProxyFile) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &SpaceError{Directory: v.directory, Need: needed(files), Err: err}
	}
	return fmt.Errorf("install the proxy's file %s: %w", f.GetPath(), err)
}

// publish gives the filled directory its name: from then on the version is there, whole.
func (v *Versions) publish(stage, version string) error {
	at := filepath.Join(v.directory, version)
	v.disk.Step("sync " + version)
	if err := atomicfile.SyncDirectory(stage); err != nil {
		return err
	}
	// A damaged version is in the way. A process that runs from it keeps its files.
	v.disk.Step("remove damaged " + version)
	if err := os.RemoveAll(at); err != nil {
		return err
	}
	v.disk.Step("rename " + version)
	if err := os.Rename(stage, at); err != nil {
		return err
	}
	v.disk.Step("sync versions")
	return atomicfile.SyncDirectory(v.directory)
}

// Remove deletes a version and what an interrupted Install left of it.
func (v *Versions) Remove(version string) error {
	if !legal(version) {
		return fmt.Errorf("remove proxy version %q: no such name", version)
	}
	return errors.Join(os.RemoveAll(filepath.Join(v.directory, version)), os.RemoveAll(filepath.Join(v.directory, staging+version)))
}

// List returns the versions that have a directory, whole or being filled, by name.
func (v *Versions) List() ([]string, error) {
	entries, err := os.ReadDir(v.directory)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the proxy's versions: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if len(name) > len(staging) && name[:len(staging)] == staging {
			name = name[len(staging):]
		}
		if legal(name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// legal names are hex digits: they cannot lead out of the directory.
func legal(name string) bool {
	for _, c := range name {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return name != ""
}
