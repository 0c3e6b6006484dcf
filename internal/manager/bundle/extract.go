package bundle

import (
	"archive/tar"
	"errors"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	containerregistry "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// wanted are the files of a proxy: where the image has them (istio.io/istio, pilot/docker/Dockerfile.proxyv2), and what they are called on a
// machine.
func wanted() map[string]facts.ProxyFile {
	return map[string]facts.ProxyFile{
		"usr/local/bin/pilot-agent":                     {Role: facts.RolePilotAgent, Path: "pilot-agent", Executable: true},
		"usr/local/bin/envoy":                           {Role: facts.RoleEnvoy, Path: "envoy", Executable: true},
		"var/lib/istio/envoy/envoy_bootstrap_tmpl.json": {Role: facts.RoleBootstrapTemplate, Path: "envoy_bootstrap.json"},
	}
}

// extract takes the proxy's files out of the image. Layers are read from the top down, and no further than needed: those of the base
// image stay in the registry.
func (s *Store) extract(key facts.ProxyKey, image containerregistry.Image) (facts.Proxy, error) {
	layers, err := image.Layers()
	if err != nil {
		return facts.Proxy{}, problemOf(key, "read the manifest", err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return facts.Proxy{}, problemOf(key, "read the image's configuration", err)
	}
	missing := wanted()
	found := finder{store: s, key: key}
	defer found.discard()
	for _, layer := range slices.Backward(layers) {
		if len(missing) == 0 {
			break
		}
		if err := found.inLayer(layer, missing); err != nil {
			return facts.Proxy{}, err
		}
	}
	if len(missing) > 0 {
		return facts.Proxy{}, invalid(key, "has no file /%s", slices.Min(slices.Collect(maps.Keys(missing))))
	}
	return found.keep(config.Config.Env)
}

// finder collects what it finds. Nothing counts until all is found and all layers that it came from were read to their ends.
type finder struct {
	store *Store
	key   facts.ProxyKey
	files []*storedFile
}

func (f *finder) discard() {
	for _, file := range f.files {
		file.discard()
	}
}

// inLayer takes the missing files out of a layer. The layer is read to its end even if all are found, as its hash is checked there.
func (f *finder) inLayer(layer containerregistry.Layer, missing map[string]facts.ProxyFile) (err error) {
	content, err := layer.Uncompressed()
	if err != nil {
		return problemOf(f.key, "read a layer", err)
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	hidden := map[string]bool{}
	archive := tar.NewReader(content)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return problemOf(f.key, "read a layer", err)
		}
		where := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
		hide(where, missing, hidden)
		file, ok := missing[where]
		if !ok {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return invalid(f.key, "/%s is not a regular file", where)
		}
		stored, err := f.store.take(f.key, file, archive)
		if err != nil {
			return err
		}
		f.files = append(f.files, stored)
		delete(missing, where)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return problemOf(f.key, "read a layer to its end", err)
	}
	for where := range missing {
		if hidden[where] {
			return invalid(f.key, "/%s is deleted by a layer", where)
		}
	}
	return nil
}

// keep puts the files in their places and describes the proxy, but for its digest.
func (f *finder) keep(environment []string) (facts.Proxy, error) {
	proxy := facts.Proxy{ProxyKey: f.key}
	agentVersion := ""
	for _, file := range f.files {
		if err := file.commit(f.store.blobPath(file.proxyFile.SHA256)); err != nil {
			return facts.Proxy{}, err
		}
		proxy.Files = append(proxy.Files, file.proxyFile)
		proxy.MinGlibc = newer(proxy.MinGlibc, file.told.minGlibc)
		if file.proxyFile.Role == facts.RolePilotAgent {
			agentVersion = file.told.version
		}
	}
	proxy.Version = versionOf(agentVersion, environment, f.key.Image)
	slices.SortFunc(proxy.Files, func(a, b facts.ProxyFile) int { return strings.Compare(a.Path, b.Path) })
	return proxy, nil
}

// hide notes which missing files a whiteout deletes from the layers below (OCI image specification, layer.md, "Whiteouts").
func hide(where string, missing map[string]facts.ProxyFile, hidden map[string]bool) {
	folder, base := path.Split(where)
	name, whiteout := strings.CutPrefix(base, ".wh.")
	if !whiteout {
		return
	}
	for file := range missing {
		deleted := folder + name
		if name == ".wh..opq" && strings.HasPrefix(file, folder) || file == deleted || strings.HasPrefix(file, deleted+"/") {
			hidden[file] = true
		}
	}
}
