package bundle

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// pull asks the registry which manifest the image has for the architecture, and takes the proxy out of it unless that was done before.
func (s *Store) pull(ctx context.Context, key facts.ProxyKey) (facts.Proxy, error) {
	started := time.Now()
	image, err := s.resolve(ctx, key)
	if err != nil {
		return facts.Proxy{}, err
	}
	digest, err := image.Digest()
	if err != nil {
		return facts.Proxy{}, problemOf(key, "read the manifest", err)
	}
	if proxy, ok := s.indexed(key, digest.String()); ok {
		return proxy, nil
	}
	proxy, err := s.extract(key, image)
	if err != nil {
		return facts.Proxy{}, err
	}
	proxy.Digest = digest.String()
	if err := s.writeIndex(proxy); err != nil {
		return facts.Proxy{}, err
	}
	s.options.Logger.Info("proxy pulled", "image", key.Image, "architecture", key.Architecture, "digest", proxy.Digest,
		"version", proxy.Version, "min_glibc", proxy.MinGlibc, "took", time.Since(started).Round(time.Millisecond).String())
	return proxy, nil
}

// resolve returns the image for the architecture; its layers are read when they are needed.
func (s *Store) resolve(ctx context.Context, key facts.ProxyKey) (containerregistry.Image, error) {
	var parsing []name.Option
	if s.options.PlainHTTP {
		parsing = append(parsing, name.Insecure)
	}
	reference, err := name.ParseReference(key.Image, parsing...)
	if err != nil {
		return nil, &facts.Problem{
			Reason:  facts.ReasonImageInvalid,
			Message: fmt.Sprintf("%q is no image reference: %v", key.Image, err),
			Next:    "correct hub, image and tag of the revision's injector, or the group's annotation " + facts.AnnotationProxyImage,
		}
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(s.options.Keychain)}
	if s.options.Transport != nil {
		options = append(options, remote.WithTransport(s.options.Transport))
	}
	descriptor, err := remote.Get(reference, options...)
	if err != nil {
		return nil, problemOf(key, "ask the registry for the manifest", err)
	}
	if descriptor.MediaType.IsIndex() {
		return s.choose(key, descriptor)
	}
	image, err := descriptor.Image()
	if err != nil {
		return nil, problemOf(key, "read the manifest", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, problemOf(key, "read the image's configuration", err)
	}
	if config.Architecture != key.Architecture {
		return nil, unsupported(key, []string{config.Architecture})
	}
	return image, nil
}

// choose takes the manifest for the architecture out of an index.
func (s *Store) choose(key facts.ProxyKey, descriptor *remote.Descriptor) (containerregistry.Image, error) {
	index, err := descriptor.ImageIndex()
	if err != nil {
		return nil, problemOf(key, "read the image's index", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, problemOf(key, "read the image's index", err)
	}
	var has []string
	for _, entry := range manifest.Manifests {
		if entry.Platform == nil || entry.Platform.OS != "linux" {
			continue
		}
		if entry.Platform.Architecture == key.Architecture {
			image, err := index.Image(entry.Digest)
			if err != nil {
				return nil, problemOf(key, "read the manifest for the architecture", err)
			}
			return image, nil
		}
		has = append(has, entry.Platform.Architecture)
	}
	return nil, unsupported(key, has)
}
