package bundle_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/hawser-io/hawser/internal/manager/bundle"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// credentials writes a Docker configuration, in the form of a Secret of type kubernetes.io/dockerconfigjson, and has the keychain read it.
func credentials(t *testing.T, host, user, password string) {
	t.Helper()
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	text := fmt.Sprintf(`{"auths": {%q: {"username": %q, "password": %q, "auth": %q}}}`, host, user, password, auth)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

// A registry that wants a password gives the image to who has it, and else the user hears what to do.
func TestRegistryThatWantsAPassword(t *testing.T) {
	registry := newRegistry(t)
	image := registry.pushImage(t, "istio/proxyv2:1.31.4", "amd64", proxyFiles("amd64"))
	registry.protect("mesh", "s3cret")
	refused := fmt.Sprintf("the registry does not let the manager pull image %s (HTTP status %d); name a pull secret for the registry in the "+
		"manager's chart (registry.pullSecret), and check that the image exists: some registries answer like this when it does not", image, http.StatusUnauthorized)
	for name, c := range map[string]struct {
		give func(t *testing.T)
		want string
	}{
		"no-password":           {func(t *testing.T) { t.Setenv("DOCKER_CONFIG", t.TempDir()) }, refused},
		"wrong-password":        {func(t *testing.T) { credentials(t, registry.host, "mesh", "guess") }, refused},
		"of-another-registry":   {func(t *testing.T) { credentials(t, "registry.example", "mesh", "s3cret") }, refused},
		"the-right-one":         {func(t *testing.T) { credentials(t, registry.host, "mesh", "s3cret") }, ""},
		"given-after-a-refusal": {func(t *testing.T) { credentials(t, registry.host, "mesh", "s3cret") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t, t.TempDir())
			if name == "given-after-a-refusal" {
				t.Setenv("DOCKER_CONFIG", t.TempDir())
				if _, err := store.Ensure(t.Context(), image, "amd64"); err == nil {
					t.Fatal("it was given without a password")
				}
			}
			c.give(t)
			_, err := store.Ensure(t.Context(), image, "amd64")
			problem, ok := errors.AsType[*facts.Problem](err)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (!ok || problem.Reason != facts.ReasonImageUnauthorized || problem.Error() != c.want):
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

func newStore(t *testing.T, dir string) *bundle.Store {
	t.Helper()
	store := bundle.NewStore(dir, bundle.Options{})
	t.Cleanup(store.Close)
	return store
}
