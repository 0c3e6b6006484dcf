package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// storedFile is a file that was read out of a layer, compressed, not yet in its place.
type storedFile struct {
	*temp
	proxyFile facts.ProxyFile
	told      binary
}

// take reads a file, compresses and hashes it, and looks at it if it is a program.
func (s *Store) take(key facts.ProxyKey, file facts.ProxyFile, content io.Reader) (stored *storedFile, err error) {
	plain, err := s.createTemp()
	if err != nil {
		return nil, err
	}
	defer plain.discard()
	compressed, err := s.createTemp()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			compressed.discard()
		}
	}()
	hash := sha256.New()
	encoder, err := newEncoder(compressed)
	if err != nil {
		return nil, err
	}
	file.Size, err = io.Copy(io.MultiWriter(hash, plain, encoder), content)
	if err != nil {
		return nil, problemOf(key, "read "+file.Path+" out of a layer", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("compress %s: %w", file.Path, err)
	}
	info, err := compressed.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at the compressed %s: %w", file.Path, err)
	}
	file.CompressedSize = info.Size()
	file.SHA256 = hex.EncodeToString(hash.Sum(nil))
	stored = &storedFile{temp: compressed, proxyFile: file}
	if file.Executable {
		if stored.told, err = inspect(plain, key.Architecture); err != nil {
			return nil, invalid(key, "%s: %v", file.Path, err)
		}
	}
	return stored, nil
}

// newEncoder makes the same bytes of the same content in every replica, so that a transfer that began at one can go on at another:
// one goroutine and fixed parameters.
func newEncoder(to io.Writer) (*zstd.Encoder, error) {
	encoder, err := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, fmt.Errorf("set up zstd: %w", err)
	}
	return encoder, nil
}
