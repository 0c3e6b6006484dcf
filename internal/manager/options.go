package manager

import (
	"errors"
	"log/slog"
	"net"

	"k8s.io/client-go/rest"
)

// Options of a manager.
type Options struct {
	// Config of the Kubernetes API server.
	Config *rest.Config
	// Namespace of the manager, Pod its own name, Service the one that leads to all replicas.
	Namespace, Pod, Service string
	// IstioNamespace, ClusterDomain and GatewaySelector as in watch.Options.
	IstioNamespace, ClusterDomain, GatewaySelector string
	// CacheDir holds proxies' files and nothing else.
	CacheDir string
	// PlainHTTP allows image registries without TLS.
	PlainHTTP bool
	// GRPCAddress serves machines, HealthAddress probes, MetricsAddress Prometheus; each HOST:PORT, and the latter two "0" for none.
	GRPCAddress, HealthAddress, MetricsAddress string
	// Listener serves machines in place of GRPCAddress if it is set.
	Listener net.Listener
	Logger   *slog.Logger
}

// validate tells what is missing.
func (o Options) validate() error {
	var errs []error
	for name, value := range map[string]string{
		"--namespace": o.Namespace, "--pod-name (or POD_NAME)": o.Pod, "--service": o.Service, "--cache-dir": o.CacheDir,
	} {
		if value == "" {
			errs = append(errs, errors.New(name+" is not set"))
		}
	}
	return errors.Join(errs...)
}
