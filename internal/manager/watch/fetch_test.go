package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// registry pulls at once, unless it is told otherwise, and shows what it has.
type registry struct {
	mu     sync.Mutex
	stored map[string]bool
	pulls  int
	err    error
	// pulled is called at the end of a pull, if it is set.
	pulled func()
}

var _ Proxies = (*registry)(nil)

func (r *registry) Ensure(_ context.Context, image, _ string) (facts.Proxy, error) {
	r.mu.Lock()
	r.pulls++
	err, pulled := r.err, r.pulled
	if err == nil {
		r.stored[image] = true
	}
	r.mu.Unlock()
	if pulled != nil {
		pulled()
	}
	return facts.Proxy{Version: image}, err
}

func (r *registry) Forget(image, _ string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.stored, image)
	return nil
}

func (r *registry) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(r.stored)), " ")
}

// fetching is a fetcher at work, and what it told.
type fetching struct {
	t        *testing.T
	registry *registry
	fetcher  *fetcher
	mu       sync.Mutex
	told     map[string]string
}

func fetch(t *testing.T, test func(f *fetching)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fetching{t: t, registry: &registry{stored: map[string]bool{}}, told: map[string]string{}}
		options := Options{Proxies: f.registry, Logger: slog.New(slog.DiscardHandler)}.withDefaults()
		f.fetcher = newFetcher(options, f.take, f.drop)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- f.fetcher.run(ctx) }()
		test(f)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (f *fetching) take(key facts.ProxyKey, state facts.ProxyState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told[key.Image] = "there"
	if state.Problem != nil {
		f.told[key.Image] = state.Problem.Error()
	}
}

func (f *fetching) drop(key facts.ProxyKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.told, key.Image)
}

func (f *fetching) want(images ...string) {
	keys := map[facts.ProxyKey]bool{}
	for _, image := range images {
		keys[facts.ProxyKey{Image: image, Architecture: "amd64"}] = true
	}
	f.fetcher.want(keys)
	synctest.Wait()
}

func (f *fetching) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (f *fetching) expect(when, told, stored string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, image := range slices.Sorted(maps.Keys(f.told)) {
		lines = append(lines, image+" "+f.told[image])
	}
	if got := strings.Join(lines, ", "); got != told || f.registry.String() != stored {
		f.t.Errorf("%s: told %q with %q stored, want %q with %q", when, got, f.registry, told, stored)
	}
}

func TestWantedImagesAreThereAndGoAfterAWhile(t *testing.T) {
	fetch(t, func(f *fetching) {
		f.want("a", "b")
		f.expect("wanted", "a there, b there", "a b")
		f.want("b")
		f.expect("one is not wanted any more", "b there", "a b")
		f.pass(10*time.Minute - time.Second)
		f.expect("agents may still fetch it", "b there", "a b")
		f.pass(2 * time.Second)
		f.expect("10 minutes later", "b there", "b")
		if f.registry.pulls != 2 {
			t.Errorf("%d pulls", f.registry.pulls)
		}
	})
}

func TestImageWantedAgainStays(t *testing.T) {
	fetch(t, func(f *fetching) {
		f.want("a")
		f.want()
		f.pass(9 * time.Minute)
		f.want("a")
		f.pass(time.Hour)
		f.expect("wanted again", "a there", "a")
		f.want()
		f.pass(9 * time.Minute)
		f.expect("the time counts from the last wish", "", "a")
		f.pass(2 * time.Minute)
		f.expect("11 minutes after it", "", "")
	})
}

// The time that files are kept counts from the last wish, also when an earlier one's has not passed.
func TestImageThatComesAndGoes(t *testing.T) {
	fetch(t, func(f *fetching) {
		f.want("a")
		f.want()
		f.pass(9 * time.Minute)
		f.want("a")
		f.want()
		f.pass(2 * time.Minute)
		f.expect("2 minutes after it was wanted last", "", "a")
		f.pass(9 * time.Minute)
		f.expect("11 minutes after it", "", "")
	})
}

func TestFailedPullIsTriedAgain(t *testing.T) {
	fetch(t, func(f *fetching) {
		f.registry.err = errors.New("connection refused")
		f.want("a")
		f.expect("failed", "a image a for amd64 cannot be pulled: connection refused; the manager tries again by itself; see its log if it does not get better", "")
		for range 100 {
			f.pass(time.Minute)
		}
		if n := f.registry.pulls; n < 50 || n > 60 {
			t.Errorf("%d pulls in 100 minutes", n)
		}
		f.registry.mu.Lock()
		f.registry.err = &facts.Problem{Message: "the registry wants a password", Next: "give one"}
		f.registry.mu.Unlock()
		f.pass(lastRetry)
		f.expect("a problem of its own", "a the registry wants a password; give one", "")
		f.registry.mu.Lock()
		f.registry.err = nil
		f.registry.mu.Unlock()
		f.pass(lastRetry)
		f.expect("there at last", "a there", "a")
	})
}

// A pull that ends while its image is given up must not be told of: nothing would ever take that back.
func TestPullThatEndsTooLateIsNotTold(t *testing.T) {
	fetch(t, func(f *fetching) {
		given := make(chan struct{})
		f.registry.pulled = func() { <-given }
		f.want("a")
		f.want()
		close(given)
		synctest.Wait()
		f.expect("given up", "", "a")
		f.pass(time.Hour)
		f.expect("later", "", "")
	})
}

func TestWantedProxies(t *testing.T) {
	machine := func(name, architecture string) string {
		return fmt.Sprintf(`{apiVersion: hawser.io/v1alpha1, kind: Machine, metadata: {namespace: shop, name: %s}, spec: {group: ratings}, status: {architecture: %q}}`, name, architecture)
	}
	const group = `{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, metadata: {namespace: shop, name: ratings}, spec: {template: {}}}`
	istio := []string{fmt.Sprintf(meshMap, "", goodMesh), fmt.Sprintf(injectorMap, "", goodInjector)}
	for name, c := range map[string]struct {
		texts []string
		want  string
	}{
		"no-group":           {append(istio, machine("a", "arm64")), ""},
		"ahead-of-the-first": {append(istio, group), "amd64"},
		"as-its-machines":    {append(istio, group, machine("a", "arm64"), machine("b", ""), machine("c", "arm64")), "amd64 arm64"},
		"no-revision":        {[]string{group}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			collector, err := newCollector(Options{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range c.texts {
				collector.set(object(t, text))
			}
			var got []string
			for key := range wantedProxies(collector.snapshot()) {
				if key.Image != "h/proxyv2:1.31" {
					t.Errorf("image %s", key.Image)
				}
				got = append(got, key.Architecture)
			}
			slices.Sort(got)
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}
