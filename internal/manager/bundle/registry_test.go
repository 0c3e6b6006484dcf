package bundle_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// inImage is where an image has its files.
var inImage = map[facts.FileRole]string{
	facts.RolePilotAgent:        "usr/local/bin/pilot-agent",
	facts.RoleEnvoy:             "usr/local/bin/envoy",
	facts.RoleBootstrapTemplate: "var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
}

// proxyFiles are files of an image: large enough that half a layer is not a whole file, and not compressible to nothing.
func proxyFiles(architecture string) map[string]string {
	noise := rand.New(rand.NewPCG(1, uint64(len(architecture))))
	program := func(name string) string {
		content := []byte("#!/bin/sh\n# " + name + " for " + architecture + "\n")
		for range 300_000 {
			content = append(content, byte(noise.IntN(64)))
		}
		return string(content) + architecture
	}
	return map[string]string{
		inImage[facts.RolePilotAgent]:        program("pilot-agent"),
		inImage[facts.RoleEnvoy]:             program("envoy"),
		inImage[facts.RoleBootstrapTemplate]: `{"node": {"id": "{{ .nodeID }}"}}`,
	}
}

// registry is a real registry over HTTP that can be made to misbehave.
type registry struct {
	server *httptest.Server
	host   string
	// baseLayer and topLayer are the digests of the layers of the image that was pushed last.
	baseLayer, topLayer string

	mu        sync.Mutex
	requests  map[string]int
	status    int
	truncated string
	replaced  map[string][]byte
	// user and password that it wants; none if they are empty.
	user, password string
	// held holds answers up until it is closed; nil: it does not.
	held chan struct{}
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{requests: map[string]int{}, replaced: map[string][]byte{}}
	handler := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) { r.serve(handler, w, request) }))
	t.Cleanup(r.server.Close)
	r.host = strings.TrimPrefix(r.server.URL, "http://")
	return r
}

func (r *registry) serve(handler http.Handler, w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	digest := request.URL.Path[strings.LastIndex(request.URL.Path, "/")+1:]
	if request.Method == http.MethodGet {
		r.requests[digest]++
	}
	status, truncated, replaced := r.status, digest != "" && r.truncated == digest, r.replaced[digest]
	wantUser, wantPassword, held := r.user, r.password, r.held
	r.mu.Unlock()
	if held != nil {
		<-held
	}
	user, password, _ := request.BasicAuth()
	switch {
	case user != wantUser || password != wantPassword:
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		http.Error(w, "who are you", http.StatusUnauthorized)
	case status != 0:
		http.Error(w, "no", status)
	case replaced != nil:
		_, _ = w.Write(replaced)
	case truncated:
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		// The length that is promised is that of the whole layer, as when a connection breaks.
		w.Header().Set("Content-Length", recorder.Header().Get("Content-Length"))
		_, _ = w.Write(recorder.Body.Bytes()[:recorder.Body.Len()/2])
	default:
		handler.ServeHTTP(w, request)
	}
}

func (r *registry) change(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }

func (r *registry) refuse(status int)      { r.change(func() { r.status = status }) }
func (r *registry) truncate(digest string) { r.change(func() { r.truncated = digest }) }
func (r *registry) replace(digest string, content []byte) {
	r.change(func() { r.replaced[digest] = content })
}
func (r *registry) protect(user, password string) {
	r.change(func() { r.user, r.password = user, password })
}

// hold holds answers up until the function that it returns is called.
func (r *registry) hold() (release func()) {
	held := make(chan struct{})
	r.change(func() { r.held = held })
	return func() {
		r.change(func() { r.held = nil })
		close(held)
	}
}

func (r *registry) heal() { r.change(func() { r.truncated = "" }) }
func (r *registry) requestsOf(digest string) (count int) {
	r.change(func() { count = r.requests[digest] })
	return count
}

// pushImage pushes an image with a base layer, a layer with the files, and more layers on top.
func (r *registry) pushImage(t *testing.T, tag, architecture string, files map[string]string, more ...map[string]string) string {
	t.Helper()
	reference, err := name.ParseReference(r.host + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference, r.image(t, architecture, files, more...)); err != nil {
		t.Fatal(err)
	}
	return reference.Name()
}

func (r *registry) pushIndex(t *testing.T, tag string, byArchitecture map[string]map[string]string) string {
	t.Helper()
	var index containerregistry.ImageIndex = empty.Index
	for architecture, files := range byArchitecture {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        r.image(t, architecture, files),
			Descriptor: containerregistry.Descriptor{Platform: &containerregistry.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	reference, err := name.ParseReference(r.host + "/" + tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(reference, index); err != nil {
		t.Fatal(err)
	}
	return reference.Name()
}

func (r *registry) image(t *testing.T, architecture string, files map[string]string, more ...map[string]string) containerregistry.Image {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &containerregistry.ConfigFile{OS: "linux", Architecture: architecture})
	if err != nil {
		t.Fatal(err)
	}
	contents := append([]map[string]string{{"etc/os-release": "ID=test", "bin/sh": architecture}, files}, more...)
	for i, content := range contents {
		archive := r.layerOf(t, content)
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if image, err = mutate.AppendLayers(image, layer); err != nil {
			t.Fatal(err)
		}
		digest, err := layer.Digest()
		if err != nil {
			t.Fatal(err)
		}
		switch i {
		case 0:
			r.baseLayer = digest.String()
		case 1:
			r.topLayer = digest.String()
		}
	}
	return image
}

func (r *registry) layerOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for path, content := range files {
		if err := writer.WriteHeader(&tar.Header{Name: "./" + path, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(writer, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

// elfOf is an ELF file for a machine with nothing in it.
func elfOf(t *testing.T, machine elf.Machine) string {
	t.Helper()
	header := elf.Header64{
		Ident:     [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:      uint16(elf.ET_EXEC),
		Machine:   uint16(machine),
		Version:   uint32(elf.EV_CURRENT),
		Ehsize:    64,
		Phentsize: 56,
		Shentsize: 64,
	}
	var file bytes.Buffer
	if err := binary.Write(&file, binary.LittleEndian, header); err != nil {
		t.Fatal(err)
	}
	return file.String()
}
