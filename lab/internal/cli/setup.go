package cli

import (
	"context"
	"fmt"
	"path/filepath"
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
	// MachineRoot is the root file system of machines.
	MachineRoot string `json:"machineRoot"`
	// DemoApp is the binary of the demonstration application.
	DemoApp string `json:"demoApp"`
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
		{"lab/coredns", contentTag(s.Artifacts.CoreDNS), image.Binary(s.Artifacts.CoreDNS, "coredns", "0")},
		s.demoImage(),
		{"istio/pilot", version, mesh.PilotImage(s.Artifacts.Istio)},
		{"istio/proxyv2", version, mesh.ProxyImage(s.Artifacts.Istio)},
	}
}

func (s setup) demoImage() labImage {
	return labImage{"demo/app", contentTag(s.DemoApp), image.Binary(s.DemoApp, "hawser-demo-app", "65532:65532")}
}

// contentTag makes a tag of the build cache's name for a binary, which has the hash of its inputs: pods change when it does.
func contentTag(binary string) string { return filepath.Base(filepath.Dir(binary)) }

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
