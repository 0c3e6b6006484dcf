package image

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func TestRegistryKeepsImagesAcrossRestarts(t *testing.T) {
	state := t.TempDir()
	image := binaryImage(t, "hello")
	var pushed string
	serve(t, state, func(address string) {
		var err error
		if pushed, err = Push(t.Context(), image, address+"/lab/app:v1"); err != nil {
			t.Fatal(err)
		}
	})
	serve(t, state, func(address string) {
		tag, err := name.NewTag(address+"/lab/app:v1", name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		pulled, err := remote.Image(tag)
		if err != nil {
			t.Fatal(err)
		}
		digest, err := pulled.Digest()
		if err != nil || !strings.HasSuffix(pushed, digest.String()) {
			t.Errorf("pushed %s, pulled %s, %v", pushed, digest, err)
		}
		if content := fileOf(t, pulled, "app"); content != "hello" {
			t.Errorf("the binary holds %q", content)
		}
	})
}

// containerd asks for the rest of a layer in this way after it was killed in the middle of a pull.
func TestPullGoesOnWhereItWasCutShort(t *testing.T) {
	serve(t, t.TempDir(), func(address string) {
		image := binaryImage(t, "hello")
		if _, err := Push(t.Context(), image, address+"/lab/app:v1"); err != nil {
			t.Fatal(err)
		}
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := layers[0].Digest()
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/v2/lab/app/blobs/"+digest.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Range", "bytes=3-")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		got, _, err := v1.SHA256(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK || got != digest {
			t.Errorf("the answer is %s with content %s, %v; want the whole of %s", answer.Status, got, err, digest)
		}
	})
}

func TestSameInputsSameDigest(t *testing.T) {
	one, err := binaryImage(t, "same").Digest()
	if err != nil {
		t.Fatal(err)
	}
	two, err := binaryImage(t, "same").Digest()
	if err != nil {
		t.Fatal(err)
	}
	if one != two {
		t.Errorf("digests %s and %s", one, two)
	}
}

func serve(t *testing.T, state string, use func(address string)) {
	t.Helper()
	registry, err := OpenRegistry(state)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.Handler(registry))
	defer server.Close()
	use(strings.TrimPrefix(server.URL, "http://"))
}

func binaryImage(t *testing.T, content string) v1.Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "binary")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	image, err := Build(Binary(path, "app", "65532"))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func fileOf(t *testing.T, image v1.Image, path string) string {
	t.Helper()
	reader := mutate.Extract(image)
	defer reader.Close()
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	// One file of known size follows its 512-byte header.
	if !strings.HasPrefix(string(content), path) {
		t.Fatalf("the image starts with %q", content[:16])
	}
	return strings.TrimRight(string(content[512:1024]), "\x00")
}
