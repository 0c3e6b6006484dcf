package drift

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// interest is in what changes an entry of a directory, and in the end of the directory itself. A writer is noticed when it closes the
// file: what it writes before may be half of it.
const interest = unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

// files watches the directories of the paths, as a file that is replaced is another file. The zero value is ready.
type files struct {
	mutex sync.Mutex
	// inotify is nil while it does not run.
	inotify *os.File
	paths   map[string]bool
	// directories by watch descriptor: one has several names where links lead to it.
	directories map[int32][]string
}

// follow replaces the paths, which are clean, and returns whether all of their directories that exist are watched.
func (f *files) follow(paths []string) (bool, error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	f.paths = map[string]bool{}
	for _, path := range paths {
		f.paths[path] = true
	}
	if f.inotify == nil {
		return false, nil
	}
	err := f.watch()
	return err == nil, err
}

// watch brings the kernel's watches in line with the paths. It is called with the mutex held.
func (f *files) watch() error {
	wanted := map[int32][]string{}
	var failed error
	seen := map[string]bool{}
	for path := range f.paths {
		directory := filepath.Dir(path)
		if seen[directory] {
			continue
		}
		seen[directory] = true
		// A directory that is watched already keeps its descriptor, one that was replaced gets another.
		descriptor, err := f.control(func(fd int) (int, error) { return unix.InotifyAddWatch(fd, directory, interest) })
		switch {
		case err == nil:
			wanted[int32(descriptor)] = append(wanted[int32(descriptor)], directory)
		case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		default:
			failed = errors.Join(failed, fmt.Errorf("watch %s: %w", directory, err))
		}
	}
	for descriptor := range f.directories {
		if wanted[descriptor] == nil {
			// It may be gone by itself, with its directory.
			_, _ = f.control(func(fd int) (int, error) { return unix.InotifyRmWatch(fd, uint32(descriptor)) })
		}
	}
	f.directories = wanted
	return failed
}

func (f *files) control(do func(fd int) (int, error)) (result int, err error) {
	connection, err := f.inotify.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := connection.Control(func(fd uintptr) { result, err = do(int(fd)) })
	return result, errors.Join(failed, err)
}

// run tells of changes until ctx ends.
func (f *files) run(ctx context.Context, tell func()) error {
	descriptor, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch files: %w", err)
	}
	inotify := os.NewFile(uintptr(descriptor), "inotify")
	f.mutex.Lock()
	f.inotify = inotify
	err = f.watch()
	f.mutex.Unlock()
	// What changed before nobody has told.
	tell()
	// Closing it ends a read; it is closed once, and there is nothing to lose in it.
	stop := context.AfterFunc(ctx, func() { _ = inotify.Close() })
	defer func() {
		f.mutex.Lock()
		f.inotify = nil
		f.mutex.Unlock()
		if stop() {
			_ = inotify.Close()
		}
	}()
	buffer := make([]byte, 4<<10)
	for err == nil {
		var read int
		read, err = inotify.Read(buffer)
		if ctx.Err() != nil {
			return nil
		}
		if f.concerns(buffer[:read]) {
			tell()
		}
	}
	return fmt.Errorf("watch files: %w", err)
}

// concerns reports whether one of the events (inotify(7), struct inotify_event) is about a path that is followed.
func (f *files) concerns(events []byte) bool {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	found := false
	for len(events) >= unix.SizeofInotifyEvent {
		descriptor, mask := int32(binary.NativeEndian.Uint32(events)), binary.NativeEndian.Uint32(events[4:])
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if size > len(events) {
			return true
		}
		name := strings.TrimRight(string(events[unix.SizeofInotifyEvent:size]), "\x00")
		if mask&(unix.IN_Q_OVERFLOW|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_UNMOUNT) != 0 {
			found = true
		}
		for _, directory := range f.directories[descriptor] {
			found = found || name != "" && f.paths[filepath.Join(directory, name)]
		}
		events = events[size:]
	}
	return found
}
