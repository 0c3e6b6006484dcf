package watch

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Options of a Source; zero values get the defaults that are named.
type Options struct {
	// IstioNamespace is where istiod lives, "istio-system" by default.
	IstioNamespace string
	// ClusterDomain is "cluster.local" by default.
	ClusterDomain string
	// GatewaySelector selects the Services of the mesh-expansion gateways by labels, in any namespace,
	// "istio=eastwestgateway" by default.
	GatewaySelector string
	// Resolver of gateway host names, net.DefaultResolver by default; asked again every ResolveEvery, 2 s by default.
	Resolver     Resolver
	ResolveEvery time.Duration
	// Proxies pulls images. Required.
	Proxies Proxies
	// Settle is how long changes are gathered before a snapshot is made of them, 20 ms by default.
	Settle time.Duration
	// Retain is how long a proxy's files are kept after the last group that needed them is gone or needs others, 10 min by default:
	// agents may be in the middle of fetching them.
	Retain time.Duration
	// Logger is slog.Default by default.
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
	// second call is answered from what is there. A failure that somebody can do something about is a *facts.Problem.
	Ensure(ctx context.Context, image, architecture string) (facts.Proxy, error)
	// Forget says that nobody needs the files any more; a later Ensure pulls them again.
	Forget(image, architecture string) error
}

func (o Options) withDefaults() Options {
	setDefault(&o.IstioNamespace, "istio-system")
	setDefault(&o.ClusterDomain, "cluster.local")
	setDefault(&o.GatewaySelector, "istio=eastwestgateway")
	setDefault(&o.ResolveEvery, 2*time.Second)
	setDefault(&o.Settle, 20*time.Millisecond)
	setDefault(&o.Retain, 10*time.Minute)
	setDefault(&o.Logger, slog.Default())
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	return o
}

func setDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}
