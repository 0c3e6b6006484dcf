package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry is an OCI registry over plain HTTP whose content is on disk. The library's own keeps blobs on disk but
// manifests in memory; those are written beside and put again at the start.
type Registry struct {
	manifests string
	inner     http.Handler
}

// OpenRegistry uses a directory, with what an earlier registry left in it.
func OpenRegistry(dir string) (*Registry, error) {
	blobs := filepath.Join(dir, "blobs")
	own := &Registry{manifests: filepath.Join(dir, "manifests")}
	if err := errors.Join(os.MkdirAll(blobs, 0o755), os.MkdirAll(own.manifests, 0o755)); err != nil {
		return nil, fmt.Errorf("make the registry's directory: %w", err)
	}
	own.inner = registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(blobs)), registry.Logger(log.New(io.Discard, "", 0)))
	return own, own.replay()
}

// Run serves on an address until the context ends.
func (r *Registry) Run(ctx context.Context, address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve the registry: %w", err)
	}
	server := &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the registry: %w", err)
	case <-ctx.Done():
		err := server.Close()
		<-served
		return err
	}
}

// ServeHTTP keeps each manifest that the inner registry accepted.
func (r *Registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	// The library refuses a range without an end, with which containerd goes on with a pull that was cut short. A server may
	// ignore any range (RFC 9110, 14.2), and containerd then skips what it has.
	if strings.HasSuffix(request.Header.Get("Range"), "-") {
		request.Header.Del("Range")
	}
	if request.Method != http.MethodPut || !strings.Contains(request.URL.Path, "/manifests/") {
		r.inner.ServeHTTP(w, request)
		return
	}
	body, err := io.ReadAll(io.LimitReader(request.Body, 4<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	answer := httptest.NewRecorder()
	r.inner.ServeHTTP(answer, request)
	if answer.Code == http.StatusCreated {
		if err := r.keep(request.URL.Path, request.Header.Get("Content-Type"), body); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	for key, values := range answer.Header() {
		w.Header()[key] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()) // the caller has gone
}

// keep writes a manifest to a file named by its URL path; its first line is the media type.
func (r *Registry) keep(path, mediaType string, body []byte) error {
	file, err := os.CreateTemp(r.manifests, ".new-")
	if err != nil {
		return err
	}
	_, err = file.Write(append([]byte(mediaType+"\n"), body...))
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(r.manifests, url.PathEscape(path)))
}

// replay puts all kept manifests into the inner registry. Those of single images come before those that list them.
func (r *Registry) replay() error {
	entries, err := os.ReadDir(r.manifests)
	if err != nil {
		return fmt.Errorf("read the registry's manifests: %w", err)
	}
	var retry []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".new-") {
			continue
		}
		if r.put(entry.Name()) != nil {
			retry = append(retry, entry.Name())
		}
	}
	for _, name := range retry {
		if err := r.put(name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) put(name string) error {
	content, err := os.ReadFile(filepath.Join(r.manifests, name))
	if err != nil {
		return err
	}
	path, err := url.PathUnescape(name)
	if err != nil {
		return fmt.Errorf("registry manifest %s: %w", name, err)
	}
	mediaType, body, _ := bytes.Cut(content, []byte("\n"))
	request := httptest.NewRequest(http.MethodPut, path, bytes.NewReader(body))
	request.Header.Set("Content-Type", string(mediaType))
	answer := httptest.NewRecorder()
	r.inner.ServeHTTP(answer, request)
	if answer.Code != http.StatusCreated {
		return fmt.Errorf("registry manifest %s is refused: %s", path, answer.Body)
	}
	return nil
}
