package cli

import (
	"context"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/image"
	"github.com/hawser-io/hawser/lab/internal/mesh"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// setup is what `up` hands to the supervisor.
type setup struct {
	Artifacts build.Artifacts `json:"artifacts"`
	// Cache is the root of the build cache, which has the images.
	Cache string `json:"cache"`
	// Without names the parts that are left out.
	Without []string `json:"without,omitempty"`
}

// Parts that `up --without` can leave out.
const (
	partMachines = "machines"
	partDemo     = "demo"
)

// labImage is one image that the lab itself needs.
type labImage struct {
	// repository and tag name it in the lab's registry.
	repository, tag string
	spec            image.Spec
}

func (s setup) images() []labImage {
	version := s.Artifacts.Istio.Version.Tag
	return []labImage{
		{"lab/pause", "1", image.Binary(s.Artifacts.Pause, "pause", "65535:65535")},
		{"lab/coredns", "1", image.Binary(s.Artifacts.CoreDNS, "coredns", "0")},
		{"istio/pilot", version, mesh.PilotImage(s.Artifacts.Istio)},
		{"istio/proxyv2", version, mesh.ProxyImage(s.Artifacts.Istio)},
	}
}

// cached returns the image from the build cache, made if need be.
func (i labImage) cached(ctx context.Context, cache *build.Cache) (v1.Image, error) {
	return image.Cached(ctx, cache, strings.ReplaceAll(i.repository, "/", "-"), i.spec)
}

func (i labImage) reference(registry string) string {
	return fmt.Sprintf("%s/%s:%s", registry, i.repository, i.tag)
}

// registryAddress is the host:port of the lab's registry.
func registryAddress(layout sandbox.Layout) string {
	return layout.NodeAddress.Addr().String() + ":5000"
}
