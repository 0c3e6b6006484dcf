package fanout

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// images is a registry with an image of a proxy that is small, as no agent downloads it.
type images struct {
	server *httptest.Server
	host   string
}

func serveImages() (*images, error) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	i := &images{server: server, host: strings.TrimPrefix(server.URL, "http://")}
	if err := i.push("istio/proxyv2:1.31.4"); err != nil {
		server.Close()
		return nil, fail("push the proxy's image", err)
	}
	return i, nil
}

func (i *images) push(tag string) error {
	archive, err := proxyArchive()
	if err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil })
	if err != nil {
		return err
	}
	image, err := mutate.ConfigFile(empty.Image, &containerregistry.ConfigFile{OS: "linux", Architecture: "amd64"})
	if err != nil {
		return err
	}
	if image, err = mutate.AppendLayers(image, layer); err != nil {
		return err
	}
	reference, err := name.ParseReference(i.host + "/" + tag)
	if err != nil {
		return err
	}
	return remote.Write(reference, image)
}

func proxyArchive() ([]byte, error) {
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, path := range []string{"usr/local/bin/pilot-agent", "usr/local/bin/envoy", "var/lib/istio/envoy/envoy_bootstrap_tmpl.json"} {
		content := "#!/bin/sh\n# " + path + "\n"
		if err := writer.WriteHeader(&tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(writer, content); err != nil {
			return nil, err
		}
	}
	return archive.Bytes(), writer.Close()
}
