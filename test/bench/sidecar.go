package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// control of istio-sidecar.deb, as upstream's tools/packaging/packaging.mk has it.
const control = `Package: istio-sidecar
Version: 0.0.0
Architecture: %s
Maintainer: istio@istio.io
Depends: iproute2, iptables, sudo, hostname
Description: Istio Sidecar
`

// packaged are the files of istio-sidecar.deb: those of Istio's source by their path in its module, the binaries by theirs in the
// proxy's image.
func packaged() (source, image map[string]string) {
	const common = "tools/packaging/common/"
	return map[string]string{
			"usr/local/bin/istio-start.sh":                  common + "istio-start.sh",
			"lib/systemd/system/istio.service":              common + "istio.service",
			"var/lib/istio/envoy/sidecar.env":               common + "sidecar.env",
			"var/lib/istio/envoy/envoy_bootstrap_tmpl.json": common + "envoy_bootstrap.json",
			"DEBIAN/postinst":                               "tools/packaging/postinst.sh",
		}, map[string]string{
			"usr/local/bin/pilot-agent": "usr/local/bin/pilot-agent",
			"usr/local/bin/envoy":       "usr/local/bin/envoy",
		}
}

// sidecarPackage makes upstream's package for machines. Its release for the lab's Istio does not exist, so this has the same
// files at the same places, with the binaries of the image that the lab's pods run, as Hawser's machines do.
func (s *stage) sidecarPackage(ctx context.Context) (string, error) {
	s.say("making istio-sidecar.deb from the lab's proxy image and Istio's own scripts")
	tree := filepath.Join(s.directory, "istio-sidecar")
	fromSource, fromImage := packaged()
	for target := range merged(fromSource, fromImage) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(tree, target)), 0o755); err != nil {
			return "", err
		}
	}
	module, err := s.output(ctx, nil, "go", "list", "-C", "lab", "-m", "-f", "{{.Dir}}", istioModule)
	if err != nil {
		return "", err
	}
	for target, source := range fromSource {
		if err := s.run(ctx, "install", "-m", mode(target), filepath.Join(strings.TrimSpace(module), source), filepath.Join(tree, target)); err != nil {
			return "", err
		}
	}
	if err := s.unpack(ctx, fromImage, tree); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN/control"), fmt.Appendf(nil, control, runtime.GOARCH), 0o644); err != nil {
		return "", err
	}
	deb := filepath.Join(s.directory, "istio-sidecar.deb")
	return deb, s.run(ctx, "dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, deb)
}

func mode(target string) string {
	if strings.HasPrefix(target, "usr/local/bin/") || strings.HasPrefix(target, "DEBIAN/") {
		return "0755"
	}
	return "0644"
}

func merged(sets ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, set := range sets {
		for key, value := range set {
			all[key] = value
		}
	}
	return all
}

// unpack takes files out of the image of the calling pod's sidecar.
func (s *stage) unpack(ctx context.Context, files map[string]string, tree string) error {
	reference, err := s.output(ctx, nil, "kubectl", "get", "pods", "-n", namespace, "-l", "app="+prefix+"-caller", "-o",
		`jsonpath={.items[0].spec.initContainers[?(@.name=="istio-proxy")].image}`)
	if err != nil {
		return err
	}
	// The lab's registry speaks plain HTTP.
	parsed, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return fmt.Errorf("the image of the calling pod's sidecar: %w", err)
	}
	image, err := remote.Image(parsed, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	content := mutate.Extract(image)
	defer content.Close()
	left := len(files)
	for entries := tar.NewReader(content); left > 0; {
		header, err := entries.Next()
		if err != nil {
			return fmt.Errorf("%s lacks %d of its files: %w", reference, left, err)
		}
		for target, source := range files {
			if strings.TrimPrefix(header.Name, "/") != source {
				continue
			}
			if err := write(filepath.Join(tree, target), entries); err != nil {
				return err
			}
			left--
		}
	}
	return nil
}

func write(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Close())
}
