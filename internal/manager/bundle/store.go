package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// ErrUnknown says that the store has no file with the hash: it was never pulled here, or nobody needs it any more.
var ErrUnknown = errors.New("no such file in the proxy store")

// Options of a store; zero values get the defaults that are named.
type Options struct {
	// Keychain has the registries' credentials, those of a Docker configuration file by default.
	Keychain authn.Keychain
	// Transport to the registries, go-containerregistry's own by default.
	Transport http.RoundTripper
	// PlainHTTP allows registries without TLS. Those on loopback and private addresses may do without it anyway.
	PlainHTTP bool
	// Logger is slog.Default by default.
	Logger *slog.Logger
}

// Store is a directory of proxies' files. It may be used from many goroutines; the directory belongs to one process at a time.
type Store struct {
	dir     string
	options Options

	// swept: what a crash of an earlier process left behind is deleted.
	swept sync.Once

	// pulls are under way.
	pulls sync.WaitGroup

	// mu guards what follows.
	mu     sync.Mutex
	closed bool
	// proxies that are there, by what they were asked for.
	proxies map[facts.ProxyKey]facts.Proxy
	pulling map[facts.ProxyKey]*pulling
}

// NewStore makes a store that keeps its files in dir, which is created when it is first needed. Close it.
func NewStore(dir string, options Options) *Store {
	if options.Keychain == nil {
		options.Keychain = authn.DefaultKeychain
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	return &Store{
		dir:     dir,
		options: options,
		proxies: map[facts.ProxyKey]facts.Proxy{},
		pulling: map[facts.ProxyKey]*pulling{},
	}
}

// Ensure pulls the image for the architecture if it is not there and describes its files. Calls for the same are merged, and a pull goes on
// when whoever waits for it gives up. A failure that somebody can do something about is a *facts.Problem: ImageUnavailable,
// ImageUnauthorized, ArchitectureUnsupported or ImageInvalid. What was once answered stays the answer until Forget, also when the tag
// moves in the registry.
func (s *Store) Ensure(ctx context.Context, image, architecture string) (facts.Proxy, error) {
	key := facts.ProxyKey{Image: image, Architecture: architecture}
	s.swept.Do(s.sweep)
	s.mu.Lock()
	if proxy, ok := s.proxies[key]; ok {
		s.mu.Unlock()
		return proxy, nil
	}
	p := s.pulling[key]
	if p == nil {
		p = s.begin(ctx, key)
	}
	s.mu.Unlock()
	select {
	case <-p.done:
		return p.proxy, p.err
	case <-ctx.Done():
		return facts.Proxy{}, fmt.Errorf("wait for the pull of %s: %w", image, context.Cause(ctx))
	}
}

// Forget says that nobody needs the image any more: its files are deleted, but for those that another image has too. A file that is
// being read can be read to its end.
func (s *Store) Forget(image, architecture string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := facts.ProxyKey{Image: image, Architecture: architecture}
	gone, ok := s.proxies[key]
	if !ok {
		return nil
	}
	delete(s.proxies, key)
	used := map[string]bool{}
	digests := map[string]bool{}
	for _, proxy := range s.proxies {
		digests[proxy.Digest] = true
		for _, file := range proxy.Files {
			used[file.SHA256] = true
		}
	}
	var errs []error
	if !digests[gone.Digest] {
		errs = append(errs, os.Remove(s.indexPath(gone.Digest)))
	}
	for _, file := range gone.Files {
		if !used[file.SHA256] {
			errs = append(errs, os.Remove(s.blobPath(file.SHA256)))
		}
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete the files of %s: %w", image, err)
		}
	}
	return nil
}

func (s *Store) blobPath(sha256 string) string { return filepath.Join(s.dir, "files", sha256+".zst") }
