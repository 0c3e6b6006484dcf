package bundle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// The index has one file for each manifest: what the proxy in it is. It is written last, so that a manifest that has one is there whole.

func (s *Store) indexPath(digest string) string {
	return filepath.Join(s.dir, "index", strings.Replace(digest, ":", "-", 1)+".json")
}

// indexed returns the proxy of a manifest that was pulled before, by this process or by an earlier one.
func (s *Store) indexed(key facts.ProxyKey, digest string) (facts.Proxy, bool) {
	text, err := os.ReadFile(s.indexPath(digest))
	if err != nil {
		return facts.Proxy{}, false
	}
	var proxy facts.Proxy
	if json.Unmarshal(text, &proxy) != nil || proxy.Digest != digest || proxy.Architecture != key.Architecture {
		return facts.Proxy{}, false
	}
	proxy.ProxyKey = key
	return proxy, s.complete(proxy)
}

// complete reports whether all files of a proxy are in their places.
func (s *Store) complete(proxy facts.Proxy) bool {
	for _, file := range proxy.Files {
		info, err := os.Stat(s.blobPath(file.SHA256))
		if err != nil || info.Size() != file.CompressedSize {
			return false
		}
	}
	return true
}

func (s *Store) writeIndex(proxy facts.Proxy) error {
	text, err := json.Marshal(proxy)
	if err != nil {
		return fmt.Errorf("describe the proxy of %s: %w", proxy.Image, err)
	}
	file, err := s.createTemp()
	if err != nil {
		return err
	}
	defer file.discard()
	if _, err := file.Write(text); err != nil {
		return fmt.Errorf("describe the proxy of %s: %w", proxy.Image, err)
	}
	return file.commit(s.indexPath(proxy.Digest))
}
