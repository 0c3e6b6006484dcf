package image

import (
	"fmt"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Spec describes an image.
type Spec struct {
	// Root is a root file system, or "" for none: then the image holds static files alone.
	Root  string
	Files []File
	// User is UID or UID:GID.
	User       string
	Entrypoint []string
	Env        []string
}

// Binary is the spec of an image that holds one static binary, run as user.
func Binary(path, name, user string) Spec {
	target := "/" + name
	return Spec{Files: []File{{Source: path, Target: target, Mode: 0o755}}, User: user, Entrypoint: []string{target}}
}

// Build makes the image of a spec, for this machine's architecture. Its content is read when the image is written.
func Build(spec Spec) (v1.Image, error) {
	var layers []v1.Layer
	if spec.Root != "" {
		layer, err := treeLayer(spec.Root)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	if len(spec.Files) > 0 {
		for _, file := range spec.Files {
			if !strings.HasPrefix(file.Target, "/") {
				return nil, fmt.Errorf("image file %q: the target must be absolute", file.Target)
			}
		}
		layer, err := filesLayer(spec.Files...)
		if err != nil {
			return nil, err
		}
		layers = append(layers, layer)
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(image, layers...)
	if err != nil {
		return nil, fmt.Errorf("assemble an image: %w", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{
		User: spec.User, Entrypoint: spec.Entrypoint,
		Env: append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, spec.Env...),
	}
	return mutate.ConfigFile(image, config)
}
