package machine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Copy copies a file or a folder into a running machine, owned by root, with its permissions. As with cp, the target is
// a folder to copy into when it exists as one or ends in a slash; its parent must exist. A file that is in use, such as a
// running program, is replaced and not overwritten.
func (s *Store) Copy(ctx context.Context, source, name, target string) error {
	if !path.IsAbs(target) {
		return fmt.Errorf("machine: the target %q on %s must be an absolute path", target, name)
	}
	info, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("machine: copy to %s: %w", name, err)
	}
	code, err := s.Exec(ctx, name, []string{"test", "-d", target}, Stdio{})
	if err != nil {
		return err
	}
	folder, base := path.Split(path.Clean(target))
	if code == 0 || strings.HasSuffix(target, "/") {
		folder, base = target, filepath.Base(filepath.Clean(source))
	}
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := pack(writer, source, base, info)
		packed <- errors.Join(err, writer.CloseWithError(err))
	}()
	var complaint bytes.Buffer
	code, err = s.Exec(ctx, name, []string{"tar", "-x", "--no-same-owner", "-p", "-C", folder}, Stdio{In: reader, Out: &complaint, Err: &complaint})
	// A tar that gave up early must not leave the packing goroutine waiting for a reader.
	_ = reader.CloseWithError(errUnread)
	packErr := <-packed
	switch {
	case packErr != nil && !errors.Is(packErr, errUnread):
		return fmt.Errorf("machine: copy %s: %w", source, packErr)
	case err != nil:
		return err
	case code != 0:
		return fmt.Errorf("machine: copy %s to %s on %s: %s", source, target, name, strings.TrimSpace(complaint.String()))
	}
	return nil
}

var errUnread = errors.New("the machine stopped reading")

// pack writes source, under the name base, as a tar stream.
func pack(w io.Writer, source, base string, info fs.FileInfo) error {
	stream := tar.NewWriter(w)
	if !info.IsDir() {
		return errors.Join(packFile(stream, source, base, info), stream.Close())
	}
	err := filepath.WalkDir(source, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return packFile(stream, name, path.Join(base, filepath.ToSlash(relative)), info)
	})
	return errors.Join(err, stream.Close())
}

func packFile(stream *tar.Writer, source, name string, info fs.FileInfo) error {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(source); err != nil {
			return err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header.Name, header.Uid, header.Gid, header.Uname, header.Gname = name, 0, 0, "root", "root"
	if err := stream.WriteHeader(header); err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(stream, file)
	return err
}
