package image

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/hawser-io/hawser/lab/internal/build"
)

// Cached builds an image once and returns it from the build cache: compressed, with known digests. The name says which
// image it is; the key is the hash of its spec and of the paths in it, which name their own content's hash when they are
// from the cache.
func Cached(ctx context.Context, cache *build.Cache, imageName string, spec Spec) (v1.Image, error) {
	inputs := build.NewInputs("image 1").Text(spec.User, spec.Root).Text(spec.Entrypoint...).Text(spec.Env...)
	for _, file := range spec.Files {
		inputs.Text(file.Source, file.Target, file.Mode.String())
	}
	key, err := inputs.Key()
	if err != nil {
		return nil, err
	}
	dir, err := cache.Output(ctx, "image-"+imageName, key, func(_ context.Context, dir string) error {
		image, err := Build(spec)
		if err != nil {
			return err
		}
		path, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
		if err != nil {
			return err
		}
		return path.AppendImage(image)
	})
	if err != nil {
		return nil, err
	}
	return first(filepath.Join(dir, "layout"))
}

func first(path string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("open image layout %s: %w", path, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("image layout %s holds %d images, not one; remove it", path, len(manifest.Manifests))
	}
	return index.Image(manifest.Manifests[0].Digest)
}

// Push sends an image to a registry over plain HTTP and returns the reference by digest. Layers that the registry has are
// not sent.
func Push(ctx context.Context, image v1.Image, reference string) (string, error) {
	tag, err := name.NewTag(reference, name.Insecure, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("image name %q: %w; give NAME:TAG", reference, err)
	}
	// The registry is on this machine: a proxy of the environment must not see it.
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	defer transport.CloseIdleConnections()
	if err := remote.Write(tag, image, remote.WithContext(ctx), remote.WithTransport(transport)); err != nil {
		return "", fmt.Errorf("push %s (is the lab up?): %w", reference, err)
	}
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	return tag.Context().Digest(digest.String()).String(), nil
}
