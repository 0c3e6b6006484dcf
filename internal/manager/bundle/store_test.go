package bundle_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/hawser-io/hawser/internal/manager/bundle"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

func TestEnsureTakesTheFilesOfTheArchitecture(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushIndex(t, "istio/proxyv2:1.31.4", map[string]map[string]string{
		"amd64": proxyFiles("amd64"),
		"arm64": proxyFiles("arm64"),
	})
	store := newStore(t, t.TempDir())
	digests := map[string]bool{}
	for _, architecture := range []string{"amd64", "arm64"} {
		proxy, err := store.Ensure(t.Context(), image, architecture)
		if err != nil {
			t.Fatal(err)
		}
		if proxy.Image != image || proxy.Architecture != architecture || proxy.Version != "1.31.4" || proxy.MinGlibc != "" {
			t.Errorf("%s: described as %+v", architecture, proxy)
		}
		digests[proxy.Digest] = true
		roles := []facts.FileRole{facts.RoleEnvoy, facts.RoleBootstrapTemplate, facts.RolePilotAgent}
		for i, file := range proxy.Files {
			want := proxyFiles(architecture)[inImage[file.Role]]
			if file.Role != roles[i] || file.Size != int64(len(want)) || file.SHA256 != hexHash(want) {
				t.Errorf("%s: file %+v is not what is in the image", architecture, file)
			}
			if got := readAll(t, store, file); got != want {
				t.Errorf("%s: %s has other content than in the image", architecture, file.Path)
			}
		}
	}
	if len(digests) != 2 {
		t.Errorf("both architectures have the manifests %v", digests)
	}
	if registry.requestsOf(registry.baseLayer) > 0 {
		t.Error("the base image's layer was pulled, and nothing of it is needed")
	}
}

func TestEnsureAsksTheRegistryOnce(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	dir := t.TempDir()
	store := newStore(t, dir)
	var waiting sync.WaitGroup
	for range 8 {
		waiting.Go(func() {
			if _, err := store.Ensure(t.Context(), image, "amd64"); err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	if n := registry.requestsOf(registry.topLayer); n != 1 {
		t.Errorf("the layer was pulled %d times", n)
	}
	// Another process with the same directory asks for the digest and pulls nothing.
	if _, err := newStore(t, dir).Ensure(t.Context(), image, "amd64"); err != nil {
		t.Fatal(err)
	}
	if n := registry.requestsOf(registry.topLayer); n != 1 {
		t.Errorf("after a restart the layer was pulled again (%d)", n)
	}
}

func TestEnsureRefusals(t *testing.T) {
	noEnvoy := proxyFiles("amd64")
	delete(noEnvoy, inImage[facts.RoleEnvoy])
	otherMachine := proxyFiles("amd64")
	otherMachine[inImage[facts.RoleEnvoy]] = elfOf(t, 183)
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, r *registry) (image, architecture string)
		reason  string
		message string
	}{
		{"missing", func(t *testing.T, r *registry) (string, string) {
			return r.host + "/istio/proxyv2:1.0", "amd64"
		}, facts.ReasonImageUnavailable, "does not exist in its registry"},
		{"unauthorised", func(t *testing.T, r *registry) (string, string) {
			image := r.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
			r.refuse(http.StatusUnauthorized)
			return image, "amd64"
		}, facts.ReasonImageUnauthorized, "HTTP status 401"},
		{"unreachable", func(t *testing.T, r *registry) (string, string) {
			r.server.Close()
			return r.host + "/istio/proxyv2:1.31.4", "amd64"
		}, facts.ReasonImageUnavailable, "connection refused"},
		{"index_without_architecture", func(t *testing.T, r *registry) (string, string) {
			return r.pushIndex(t, "istio/proxyv2:1.31.4", map[string]map[string]string{"amd64": proxyFiles("amd64")}), "s390x"
		}, facts.ReasonArchitectureUnsupported, "it is for: amd64"},
		{"image_of_other_architecture", func(t *testing.T, r *registry) (string, string) {
			return r.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64")), "arm64"
		}, facts.ReasonArchitectureUnsupported, "it is for: amd64"},
		{"file_missing", func(t *testing.T, r *registry) (string, string) {
			return r.pushImage(t, "istio/proxyv2:1.31.4", "amd64", noEnvoy), "amd64"
		}, facts.ReasonImageInvalid, "has no file /usr/local/bin/envoy"},
		{"file_deleted", func(t *testing.T, r *registry) (string, string) {
			return r.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"), map[string]string{"usr/local/bin/.wh.envoy": ""}), "amd64"
		}, facts.ReasonImageInvalid, "/usr/local/bin/envoy is deleted by a layer"},
		{"binary_of_other_machine", func(t *testing.T, r *registry) (string, string) {
			return r.pushImage(t, "istio/proxyv2:1.31.4", "amd64", otherMachine), "amd64"
		}, facts.ReasonImageInvalid, "envoy: is built for EM_AARCH64, not for amd64"},
		{"layer_truncated", func(t *testing.T, r *registry) (string, string) {
			image := r.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
			r.truncate(r.topLayer)
			return image, "amd64"
		}, facts.ReasonImageUnavailable, "layer"},
		{"layer_tampered", func(t *testing.T, r *registry) (string, string) {
			image := r.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
			r.replace(r.topLayer, r.layerOf(t, map[string]string{"usr/local/bin/envoy": "evil"}))
			return image, "amd64"
		}, facts.ReasonImageUnavailable, "layer"},
		{"no_reference", func(t *testing.T, r *registry) (string, string) {
			return "Not A Reference", "amd64"
		}, facts.ReasonImageInvalid, "is no image reference"},
	} {
		t.Run(c.name, func(t *testing.T) {
			registry := newRegistry(t)
			image, architecture := c.prepare(t, registry)
			dir := t.TempDir()
			_, err := newStore(t, dir).Ensure(t.Context(), image, architecture)
			problem, ok := errors.AsType[*facts.Problem](err)
			if !ok || problem.Reason != c.reason || !strings.Contains(problem.Message, c.message) || problem.Next == "" {
				t.Fatalf("want %s: …%s…, got %v", c.reason, c.message, err)
			}
			if left := filesIn(t, dir); len(left) > 0 {
				t.Errorf("files are left behind: %v", left)
			}
		})
	}
}

// Who waits for a pull may give up; the pull goes on, so that the next one who asks finds it further on, and does not begin anew.
func TestPullGoesOnWithoutWhoAskedForIt(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	store := newStore(t, t.TempDir())
	release := registry.hold()
	ctx, cancel := context.WithCancelCause(t.Context())
	impatient := errors.New("no more patience")
	cancel(impatient)
	_, err := store.Ensure(ctx, image, "amd64")
	if _, ok := errors.AsType[*facts.Problem](err); ok || !errors.Is(err, impatient) {
		t.Errorf("who gave up got %v", err)
	}
	release()
	if _, err := store.Ensure(t.Context(), image, "amd64"); err != nil {
		t.Fatal(err)
	}
	if n := registry.requestsOf("1.31.4"); n != 1 {
		t.Errorf("the manifest was asked for %d times", n)
	}
}

func TestCloseEndsPulls(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	store := newStore(t, t.TempDir())
	defer registry.hold()()
	done := make(chan error, 1)
	go func() {
		_, err := store.Ensure(t.Context(), image, "amd64")
		done <- err
	}()
	for registry.requestsOf("1.31.4")+registry.requestsOf("") == 0 {
		runtime.Gosched()
	}
	store.Close()
	if err := <-done; err == nil {
		t.Error("a pull that was ended succeeded")
	}
	if _, err := store.Ensure(t.Context(), image, "amd64"); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a closed store gave %v", err)
	}
}

// Two images often have the same files: forgetting one while the other is pulled takes no file away from it.
func TestForgetWhileTheSameFilesArePulled(t *testing.T) {
	registry := newRegistry(t)
	first := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	second := registry.pushImage(t, "istio/proxyv2:1.31.4-distroless", "amd64", proxyFiles("amd64"), map[string]string{"etc/motd": "less"})
	store := newStore(t, t.TempDir())
	for range 20 {
		if _, err := store.Ensure(t.Context(), first, "amd64"); err != nil {
			t.Fatal(err)
		}
		var both sync.WaitGroup
		var proxy facts.Proxy
		var err error
		both.Go(func() { proxy, err = store.Ensure(t.Context(), second, "amd64") })
		both.Go(func() {
			if err := store.Forget(first, "amd64"); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		if err != nil {
			// It was told so, and asks again.
			proxy, err = store.Ensure(t.Context(), second, "amd64")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range proxy.Files {
			readAll(t, store, file)
		}
		if err := store.Forget(second, "amd64"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnsureRecovers(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	registry.truncate(registry.topLayer)
	store := newStore(t, t.TempDir())
	if _, err := store.Ensure(t.Context(), image, "amd64"); err == nil {
		t.Fatal("a truncated layer was accepted")
	}
	registry.heal()
	proxy, err := store.Ensure(t.Context(), image, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, store, proxy.Files[0])
}

// Two replicas have the same bytes: a transfer that one began can be taken up at the other, at any offset.
func TestReadingIsResumedAtAnotherReplica(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	var whole [2][]byte
	for i := range whole {
		store := newStore(t, t.TempDir())
		proxy, err := store.Ensure(t.Context(), image, "amd64")
		if err != nil {
			t.Fatal(err)
		}
		artifact, err := store.Open(proxy.Files[0].SHA256)
		if err != nil {
			t.Fatal(err)
		}
		defer artifact.Close()
		if artifact.Size() != proxy.Files[0].CompressedSize {
			t.Errorf("size is %d, described as %d", artifact.Size(), proxy.Files[0].CompressedSize)
		}
		offset := int64(i) * artifact.Size() / 2
		if whole[i], err = io.ReadAll(io.NewSectionReader(artifact, offset, artifact.Size())); err != nil {
			t.Fatal(err)
		}
	}
	half := len(whole[0]) - len(whole[1])
	resumed := append(bytes.Clone(whole[0][:half]), whole[1]...)
	if !bytes.Equal(resumed, whole[0]) {
		t.Error("the second half is not the second half of the same bytes")
	}
}

func TestForgetKeepsWhatOthersNeed(t *testing.T) {
	registry := newRegistry(t)
	newer := proxyFiles("amd64")
	newer[inImage[facts.RoleEnvoy]] += "newer"
	old := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	current := registry.pushImage(t, "istio/proxyv2:1.31.5", "amd64", newer)
	store := newStore(t, t.TempDir())
	before, err := store.Ensure(t.Context(), old, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	after, err := store.Ensure(t.Context(), current, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Forget(old, "amd64"); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(before.Files[0].SHA256); !errors.Is(err, bundle.ErrUnknown) {
		t.Errorf("the old Envoy is still there: %v", err)
	}
	for _, file := range after.Files {
		readAll(t, store, file)
	}
}

func TestOpenRefusesWhatIsNoHash(t *testing.T) {
	store := newStore(t, t.TempDir())
	for _, hash := range []string{"", "../../etc/passwd", strings.Repeat("a", 63), strings.Repeat("A", 64), strings.Repeat("a", 64)} {
		if _, err := store.Open(hash); !errors.Is(err, bundle.ErrUnknown) {
			t.Errorf("%q: %v", hash, err)
		}
	}
}

func TestLeftoversOfACrashAreSwept(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	dir := t.TempDir()
	leftover := filepath.Join(dir, "partial-1")
	if err := os.WriteFile(leftover, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newStore(t, dir).Ensure(t.Context(), image, "amd64"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// readAll decompresses a file and checks its hash.
func readAll(t *testing.T, store *bundle.Store, file facts.ProxyFile) string {
	t.Helper()
	artifact, err := store.Open(file.SHA256)
	if err != nil {
		t.Fatalf("%s: %v", file.Path, err)
	}
	defer artifact.Close()
	decoder, err := zstd.NewReader(io.NewSectionReader(artifact, 0, artifact.Size()))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	content, err := io.ReadAll(decoder)
	if err != nil {
		t.Fatal(err)
	}
	if hexHash(string(content)) != file.SHA256 {
		t.Errorf("%s: the content has another hash", file.Path)
	}
	return string(content)
}

func hexHash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
