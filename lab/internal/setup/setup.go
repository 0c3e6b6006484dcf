package setup

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/image"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// Setup is what `up` hands to the supervisor.
type Setup struct {
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
	PartMachines = "machines"
	PartDemo     = "demo"
)

// Image is one image that the lab itself needs.
type Image struct {
	// repository and tag name it in the lab's registry.
	repository, tag string
	spec            image.Spec
}

// Images are those that the lab itself needs.
func (s Setup) Images() []Image {
	return append([]Image{
		{"lab/pause", "1", image.Binary(s.Artifacts.Pause, "pause", "65535:65535")},
		{"lab/coredns", contentTag(s.Artifacts.CoreDNS), image.Binary(s.Artifacts.CoreDNS, "coredns", "0")},
		s.DemoImage(),
	}, IstioImages(s.Artifacts.Istio)...)
}

// DemoImage is the demonstration application's.
func (s Setup) DemoImage() Image {
	return Image{"demo/app", contentTag(s.DemoApp), image.Binary(s.DemoApp, "hawser-demo-app", "65532:65532")}
}

// contentTag makes a tag of the build cache's name for a binary, which has the hash of its inputs: pods change when it does.
func contentTag(binary string) string { return filepath.Base(filepath.Dir(binary)) }

// Cached returns the image from the build cache, made if need be.
func (i Image) Cached(ctx context.Context, cache *build.Cache) (v1.Image, error) {
	return image.Cached(ctx, cache, strings.ReplaceAll(i.repository, "/", "-"), i.spec)
}

// Reference names the image in a registry, HOST:PORT.
func (i Image) Reference(registry string) string {
	return fmt.Sprintf("%s/%s:%s", registry, i.repository, i.tag)
}

// RegistryAddress is the host:port of the lab's registry.
func RegistryAddress(layout sandbox.Layout) string {
	return layout.NodeAddress.Addr().String() + ":5000"
}

// MachineDir is where machines are, inside the sandbox as on the host.
func MachineDir(layout sandbox.Layout) string { return filepath.Join(layout.StateDir, "machines") }
