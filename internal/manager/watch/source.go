package watch

import (
	"context"
	"log/slog"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Options of a Source; zero values get the defaults that are named.
type Options struct {
	// IstioNamespace is where istiod lives, "istio-system" by default.
	IstioNamespace string
	// ClusterDomain is "cluster.local" by default.
	ClusterDomain string
	// GatewaySelector selects the Services of the mesh-expansion gateways by labels, "istio=eastwestgateway" by default.
	GatewaySelector string
	// Resolver of gateway host names, net.DefaultResolver by default; asked again every ResolveEvery (30 s by default).
	Resolver     Resolver
	ResolveEvery time.Duration
	// Proxies pulls images. Required.
	Proxies Proxies
	// Settle is how long changes are gathered before a new snapshot is made of them, 20 ms by default.
	Settle time.Duration
	Logger *slog.Logger
}

// Resolver looks host names up; *net.Resolver is one.
type Resolver interface {
	// LookupHost returns the addresses of a host.
	LookupHost(ctx context.Context, host string) ([]string, error)
}

// Proxies gives the files of an image; *bundle.Store is one.
type Proxies interface {
	// Ensure makes the files of the image for the architecture available and describes them. It takes as long as a pull does; a
	// second call is answered from the cache. A failure that the user can do something about is a *facts.Problem.
	Ensure(ctx context.Context, image, architecture string) (facts.Proxy, error)
}

// Source keeps a snapshot of the facts up to date. It needs no leader: every replica has its own.
type Source struct {
	cache   cache.Cache
	options Options
}

// NewSource makes a Source that reads from the cache, which must have been made with CacheOptions.
func NewSource(c cache.Cache, options Options) *Source {
	return &Source{cache: c, options: options}
}

// Facts returns the newest snapshot; it is empty until Synced.
func (s *Source) Facts() facts.Facts { return facts.Facts{} }

// Synced is closed when the first snapshot is there.
func (s *Source) Synced() <-chan struct{} { return nil }

// Changed returns a channel of capacity one that gets a value when there is a newer snapshot; changes in between are merged. Each call
// makes a channel of its own, which is given up when ctx ends. It never closes.
func (s *Source) Changed(ctx context.Context) <-chan struct{} { return nil }

// Run keeps the snapshot up to date until ctx ends. The cache must be running.
func (s *Source) Run(ctx context.Context) error { return nil }

// NeedLeaderElection reports false: every replica watches.
func (s *Source) NeedLeaderElection() bool { return false }

// CacheOptions restricts the informers to what the Source reads of the shared kinds.
func CacheOptions(options Options) cache.Options { return cache.Options{} }
