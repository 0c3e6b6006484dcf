package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/host/file/filetest"
)

const version = "abc123"

var errCut = errors.New("the connection was cut")

// fakeManager serves files by the hash of their content.
type fakeManager struct {
	compressed map[string][]byte
	// cutAfter is how many bytes a transfer gets through; negative: all.
	cutAfter int
	// sent is how many bytes went over the wire.
	sent int
}

// files are a version's: one in a directory of its own, one that compresses to more than one block.
func files(t *testing.T) ([]*hawserv1.ProxyFile, *fakeManager) {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	manager := &fakeManager{compressed: map[string][]byte{}, cutAfter: -1}
	var list []*hawserv1.ProxyFile
	for _, f := range []struct {
		path, content string
		executable    bool
	}{
		{"pilot-agent", "the bytes of pilot-agent", true},
		{"envoy", strings.Repeat("the bytes of Envoy ", 20000), true},
		{"bootstrap/envoy.json", "{}", false},
	} {
		sum := sha256.Sum256([]byte(f.content))
		name := hex.EncodeToString(sum[:])
		manager.compressed[name] = encoder.EncodeAll([]byte(f.content), nil)
		list = append(list, &hawserv1.ProxyFile{
			Path: f.path, Sha256: name, Size: int64(len(f.content)), CompressedSize: int64(len(manager.compressed[name])), Executable: f.executable,
		})
	}
	return list, manager
}

// ReadArtifact implements Reader.
func (m *fakeManager) ReadArtifact(_ context.Context, sha256 string, offset int64) (io.ReadCloser, error) {
	content, found := m.compressed[sha256]
	if !found {
		return nil, errors.New("no such artifact")
	}
	return io.NopCloser(&wire{fakeManager: m, rest: bytes.NewReader(content[offset:])}), nil
}

type wire struct {
	*fakeManager
	rest *bytes.Reader
}

func (w *wire) Read(into []byte) (int, error) {
	if w.cutAfter == 0 {
		return 0, errCut
	}
	if w.cutAfter > 0 {
		into = into[:min(len(into), w.cutAfter)]
	}
	n, err := w.rest.Read(into)
	w.sent += n
	if w.cutAfter > 0 {
		w.cutAfter -= n
	}
	return n, err
}

// disk is the directory of versions.
type disk struct {
	*testing.T
	directory string
}

func newDisk(t *testing.T) disk { return disk{t, filepath.Join(t.TempDir(), "versions")} }

func (d disk) versions(reader Reader, before func(string)) *Versions {
	return New(d.directory, reader, atomicfile.Writer{Before: before})
}

// root says that everything belongs to root: nobody gives away the files of a version.
type root struct{ file.Kernel }

func (root) Of(string, os.FileInfo) file.ID { return file.ID{} }

// text is what a test compares.
func (d disk) text() string {
	d.Helper()
	if _, err := os.Stat(d.directory); err != nil {
		return ""
	}
	var lines []string
	for line := range strings.Lines(filetest.Text(d, d.directory, root{})) {
		// The content of a file is checked by its hash; here its beginning is enough.
		lines = append(lines, line[:min(len(line)-1, 70)])
	}
	return strings.Join(lines, "\n")
}
