package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
)

// installFile fetches, unpacks and checks one file. A transfer that was taken up and turns out damaged is made once more from
// its beginning, since an earlier, unclean stop may have left a hole in it.
func (v *Versions) installFile(ctx context.Context, stage string, f *hawserv1.ProxyFile) error {
	at := filepath.Join(stage, f.GetPath())
	if same, err := v.seen.holds(at, f); err == nil && same {
		return nil
	}
	if err := v.makeDirectories(stage, filepath.Dir(f.GetPath())); err != nil {
		return err
	}
	part := partPath(stage, f)
	resumed, err := v.fetch(ctx, part, f)
	if err != nil {
		return err
	}
	err = v.unpack(part, at, f)
	if damaged, ok := errors.AsType[*ContentError](err); ok {
		v.disk.Step("remove part " + f.GetPath())
		if err := os.Remove(part); err != nil {
			return err
		}
		if !resumed {
			return damaged
		}
		if _, err = v.fetch(ctx, part, f); err == nil {
			err = v.unpack(part, at, f)
		}
	}
	if err != nil {
		return err
	}
	v.disk.Step("remove part " + f.GetPath())
	return os.Remove(part)
}

// fetch fills the part file to its end and reports whether it began with what an earlier call left.
func (v *Versions) fetch(ctx context.Context, part string, f *hawserv1.ProxyFile) (resumed bool, err error) {
	v.disk.Step("fetch " + f.GetPath())
	file, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	offset, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	if size := f.GetCompressedSize(); size > 0 && offset >= size {
		if offset == size {
			return true, nil
		}
		// It is longer than the file is: somebody else's bytes.
		if err := file.Truncate(0); err != nil {
			return false, err
		}
		if offset, err = file.Seek(0, io.SeekStart); err != nil {
			return false, err
		}
	}
	body, err := v.reader.ReadArtifact(ctx, f.GetSha256(), offset)
	if err != nil {
		return offset > 0, fmt.Errorf("fetch it from the manager: %w", err)
	}
	defer body.Close()
	n, err := io.Copy(file, body)
	if err != nil {
		return offset > 0, fmt.Errorf("fetch it from the manager, %d of %d bytes are here: %w", offset+n, f.GetCompressedSize(), err)
	}
	return offset > 0, nil
}

// makeDirectories makes each directory on the way from the stage to a file one that the proxy's user can enter.
func (v *Versions) makeDirectories(stage, directory string) error {
	if directory == "." {
		return nil
	}
	if err := v.makeDirectories(stage, filepath.Dir(directory)); err != nil {
		return err
	}
	return v.disk.MakeDirectory(filepath.Join(stage, directory), 0o755)
}

// unpack decompresses a part file, checks it, and gives it its name.
func (v *Versions) unpack(part, at string, f *hawserv1.ProxyFile) error {
	compressed, err := os.Open(part)
	if err != nil {
		return err
	}
	defer compressed.Close()
	mode := os.FileMode(0o644)
	if f.GetExecutable() {
		mode = 0o755
	}
	return v.disk.Fill(atomicfile.File{Path: at, Mode: mode}, func(to io.Writer) error { return decompress(compressed, to, f) })
}

// window bounds the memory that a frame can make the decoder take: 8 MiB is what compressors use up to level 19.
const window = 8 << 20

// decompress writes the file's content and checks it on the way.
func decompress(from io.Reader, to io.Writer, f *hawserv1.ProxyFile) error {
	decoder, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window), zstd.WithDecoderLowmem(true))
	if err != nil {
		return err
	}
	defer decoder.Close()
	hash := sha256.New()
	// One byte more than announced is enough to know that it is too long.
	written := &counted{Writer: io.MultiWriter(to, hash), limit: f.GetSize()}
	if _, err := io.Copy(written, decoder); err != nil {
		if written.failed {
			return err
		}
		return &ContentError{Path: f.GetPath(), Want: f.GetSha256(), Err: err}
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != f.GetSha256() {
		return &ContentError{Path: f.GetPath(), Want: f.GetSha256(), Got: got}
	}
	return nil
}

// counted tells errors of writing from those of reading, and stops what is longer than announced.
type counted struct {
	io.Writer
	limit  int64
	failed bool
}

func (c *counted) Write(content []byte) (int, error) {
	if c.limit -= int64(len(content)); c.limit < 0 {
		return 0, errors.New("it is longer than announced")
	}
	n, err := c.Writer.Write(content)
	c.failed = err != nil
	return n, err
}
