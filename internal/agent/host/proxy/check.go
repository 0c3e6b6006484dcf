package proxy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
)

// SpaceError: the file system has no room for the proxy's files.
type SpaceError struct {
	Directory string
	// Need and Free in bytes; Free is 0 if the disk ran full on the way.
	Need, Free uint64
	Err        error
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("the proxy's files need %d MiB, %d MiB are free in %s; free space on that file system, the transfer then goes on where it was",
		e.Need>>20, e.Free>>20, e.Directory)
}

func (e *SpaceError) Unwrap() error { return e.Err }

// ContentError: what came is not what the hash names.
type ContentError struct {
	Path, Want, Got string
	Err             error
}

func (e *ContentError) Error() string {
	text := fmt.Sprintf("the bytes of %s are not those that the manager named (SHA-256 %s", e.Path, e.Want)
	if e.Got != "" {
		text += ", got " + e.Got
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text + "); if it happens again, restart the manager, so that it takes the files out of the image anew"
}

func (e *ContentError) Unwrap() error { return e.Err }

// needed is the room for all files unpacked, and for the largest of them compressed beside it.
func needed(files []*hawserv1.ProxyFile) uint64 {
	var sum, largest int64
	for _, f := range files {
		sum += f.GetSize()
		largest = max(largest, f.GetCompressedSize())
	}
	return uint64(sum + largest)
}

// checkSpace counts what an interrupted call left as there already.
func (v *Versions) checkSpace(stage string, files []*hawserv1.ProxyFile) error {
	var status syscall.Statfs_t
	if err := syscall.Statfs(stage, &status); err != nil {
		return fmt.Errorf("look for space in %s: %w", stage, err)
	}
	need := needed(files)
	err := filepath.WalkDir(stage, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			need -= min(need, uint64(info.Size()))
		}
		return err
	})
	if free := status.Bavail * uint64(status.Bsize); err == nil && free < need {
		return &SpaceError{Directory: v.directory, Need: need, Free: free, Err: syscall.ENOSPC}
	}
	return err
}

// Whole reports whether a version is here with exactly these files, and the proxy's user can get at them.
func (v *Versions) Whole(version string, files []*hawserv1.ProxyFile) (bool, error) {
	for _, f := range files {
		if !passable(filepath.Join(v.directory, version), filepath.Dir(f.GetPath())) {
			return false, nil
		}
		same, err := v.seen.holds(filepath.Join(v.directory, version, f.GetPath()), f)
		if err != nil || !same {
			return false, err
		}
	}
	return len(files) > 0, nil
}

// passable reports whether everybody may enter a version's directory and the one below it.
func passable(version, directory string) bool {
	const enter = 0o055
	for {
		info, err := os.Stat(filepath.Join(version, directory))
		if err != nil || info.Mode().Perm()&enter != enter {
			return false
		}
		if directory == "." {
			return true
		}
		directory = filepath.Dir(directory)
	}
}

// seen remembers which files were read and what their hash was. Reading a hundred megabytes at each look would cost more than
// the agent may; a file whose identity, size and times are the same is the same.
type seen struct {
	mutex  sync.Mutex
	hashes map[string]known
}

type known struct {
	device, inode uint64
	size          int64
	modified      syscall.Timespec
	changed       syscall.Timespec
	hash          string
}

// holds reports whether the file at path is f: its mode, size and hash.
func (s *seen) holds(path string, f *hawserv1.ProxyFile) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the proxy's file: %w", err)
	}
	wrongMode := (info.Mode().Perm()&0o111 != 0) != f.GetExecutable() || info.Mode().Perm()&0o022 != 0
	if !info.Mode().IsRegular() || info.Size() != f.GetSize() || wrongMode {
		return false, nil
	}
	hash, err := s.hash(path, info)
	return hash == f.GetSha256(), err
}

// learn takes the word of a caller that has just checked the file.
func (s *seen) learn(path, hash string) {
	info, err := os.Lstat(path)
	if err != nil {
		return
	}
	now, ok := identify(info)
	if !ok {
		return
	}
	now.hash = hash
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.keep(path, now)
}

func (s *seen) keep(path string, file known) {
	if s.hashes == nil {
		s.hashes = map[string]known{}
	}
	s.hashes[path] = file
}

func identify(info fs.FileInfo) (known, bool) {
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return known{}, false
	}
	return known{device: status.Dev, inode: status.Ino, size: status.Size, modified: status.Mtim, changed: status.Ctim}, true
}

func (s *seen) hash(path string, info fs.FileInfo) (string, error) {
	now, ok := identify(info)
	if !ok {
		return "", fmt.Errorf("look at %s: the system does not tell its times", path)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	before, ok := s.hashes[path]
	now.hash = before.hash
	if ok && before == now {
		return before.hash, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	now.hash = hex.EncodeToString(hash.Sum(nil))
	s.keep(path, now)
	return now.hash, nil
}
