package image

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// epoch is the time of every file in an image: the same inputs give the same digest.
var epoch = time.Unix(0, 0)

// File is one regular file of an image.
type File struct {
	// Source is its path on this host, Target its absolute path in the image.
	Source string
	Target string
	Mode   fs.FileMode
}

// filesLayer holds the files given, with the directories above them.
func filesLayer(files ...File) (v1.Layer, error) {
	return newLayer(func(writer *tar.Writer) error {
		made := map[string]bool{}
		for _, file := range files {
			if err := addParents(writer, file.Target, made); err != nil {
				return err
			}
			header := &tar.Header{Name: file.Target[1:], Mode: int64(file.Mode.Perm()), ModTime: epoch, Typeflag: tar.TypeReg}
			if err := addFile(writer, header, file.Source); err != nil {
				return err
			}
		}
		return nil
	})
}

// treeLayer holds a whole root file system with its owners and modes, except for device files.
func treeLayer(root string) (v1.Layer, error) {
	return newLayer(func(writer *tar.Writer) error {
		return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || path == root {
				return err
			}
			return addEntry(writer, root, path, entry)
		})
	})
}

// newLayer compresses what write produces when it is asked for, more than once, so nothing is kept in memory.
func newLayer(write func(*tar.Writer) error) (v1.Layer, error) {
	open := func() (io.ReadCloser, error) {
		reader, pipe := io.Pipe()
		go func() {
			writer := tar.NewWriter(pipe)
			pipe.CloseWithError(errors.Join(write(writer), writer.Close()))
		}()
		return reader, nil
	}
	// The images travel from one directory of a disk to another: speed counts, size does not.
	layer, err := tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed))
	if err != nil {
		return nil, fmt.Errorf("make an image layer: %w", err)
	}
	return layer, nil
}

func addParents(writer *tar.Writer, target string, made map[string]bool) error {
	parent := filepath.Dir(target)
	if parent == "/" || made[parent] {
		return nil
	}
	if err := addParents(writer, parent, made); err != nil {
		return err
	}
	made[parent] = true
	return writer.WriteHeader(&tar.Header{Name: parent[1:] + "/", Mode: 0o755, ModTime: epoch, Typeflag: tar.TypeDir})
}

func addEntry(writer *tar.Writer, root, path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	link := ""
	switch {
	case info.Mode().IsRegular() || info.IsDir():
	case info.Mode()&fs.ModeSymlink != 0:
		if link, err = os.Readlink(path); err != nil {
			return err
		}
	default:
		return nil
	}
	header, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	header.Name, header.ModTime, header.Uname, header.Gname = name, epoch, "", ""
	if info.IsDir() {
		header.Name += "/"
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		header.Uid, header.Gid = int(owner.Uid), int(owner.Gid)
	}
	if info.Mode().IsRegular() {
		return addFile(writer, header, path)
	}
	return writer.WriteHeader(header)
}

func addFile(writer *tar.Writer, header *tar.Header, source string) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := writer.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(writer, file)
	return err
}
