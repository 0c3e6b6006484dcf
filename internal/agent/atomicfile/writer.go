// Package atomicfile replaces files so that a reader, also one after a power cut, sees a file as it was or as it is meant to be.
// In come paths, modes and contents, out come files on the disk. It decides nothing: what is written, and who it belongs to, is
// the caller's.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// prefix marks files that are being written; the name of the file and a number follow.
const prefix = ".hawser-new-"

// Writer changes the file system. The zero value is ready for use.
type Writer struct {
	// Before is told of each change before it is made; tests crash in it. Optional.
	Before func(change string)
}

// File is a regular file to be.
type File struct {
	Path string
	// Mode is what the file gets, whatever the umask of this process is.
	Mode fs.FileMode
	// Own gives the file to its owner; nil leaves it to the user of this process.
	Own func(file *os.File) error
}

// Step says that a change follows. Changes that callers make themselves are made known by it, too.
func (w Writer) Step(change string) {
	if w.Before != nil {
		w.Before(change)
	}
}

// Write replaces a file by one with this content.
func (w Writer) Write(f File, content []byte) error {
	return w.Fill(f, func(to io.Writer) error {
		_, err := to.Write(content)
		return err
	})
}

// Fill replaces a file by what fill writes: temporary file, owner and mode, content, fsync, rename, fsync of the directory. If
// anything fails the file is as it was; errors of fill and of the system are in the one returned.
func (w Writer) Fill(f File, fill func(to io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", f.Path, err)
		}
	}()
	directory, name := filepath.Split(f.Path)
	w.Step("create " + f.Path)
	temporary, err := os.CreateTemp(directory, prefix+name+"-*")
	if err != nil {
		return err
	}
	w.Step("fill " + f.Path)
	if err := f.fill(temporary, fill); err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	w.Step("rename " + f.Path)
	if err := os.Rename(temporary.Name(), f.Path); err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	w.Step("sync " + f.Path)
	return SyncDirectory(directory)
}

func (f File) fill(file *os.File, fill func(to io.Writer) error) (err error) {
	defer func() { err = errors.Join(err, file.Close()) }()
	// The owner comes before the mode, and both before the content: at no time may anybody read it who may not in the end.
	if f.Own != nil {
		if err := f.Own(file); err != nil {
			return err
		}
	}
	if err := file.Chmod(f.Mode); err != nil {
		return err
	}
	if err := fill(file); err != nil {
		return err
	}
	return file.Sync()
}

// Link replaces what is at path, unless it is a directory, by a symbolic link. own gives the link at a path to its owner; nil
// leaves it to the user of this process.
func (w Writer) Link(path, target string, own func(path string) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("link %s: %w", path, err)
		}
	}()
	directory, name := filepath.Split(path)
	temporary := filepath.Join(directory, prefix+name+"-"+strconv.FormatUint(uint64(rand.Uint32()), 10))
	w.Step("create link " + path)
	if err := os.Symlink(target, temporary); err != nil {
		return err
	}
	w.Step("rename link " + path)
	if own != nil {
		err = own(temporary)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	w.Step("sync link " + path)
	return SyncDirectory(directory)
}

// SyncDirectory makes the names in a directory durable.
func SyncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
