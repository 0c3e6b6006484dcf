package build

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Artifacts are the paths of all that a lab with one Istio version needs.
type Artifacts struct {
	// Kube, CoreDNS, Helm and Pause are static binaries.
	Kube    string `json:"kube"`
	CoreDNS string `json:"coredns"`
	Helm    string `json:"helm"`
	Pause   string `json:"pause"`
	Istio   Istio  `json:"istio"`
}

// Istio are the paths of one Istio version.
type Istio struct {
	Version IstioVersion `json:"version"`
	// Istiod and Agent are static binaries; Envoy wants glibc.
	Istiod string `json:"istiod"`
	Agent  string `json:"agent"`
	Envoy  string `json:"envoy"`
	// Module is the source of istio.io/istio, with its charts and Envoy's bootstrap template.
	Module string `json:"module"`
	// ProxyRoot is the root file system of the proxy's image: Debian with iptables and nftables.
	ProxyRoot string `json:"proxyRoot"`
}

// ProxyPackages are the Debian packages of the proxy's image: what istio-iptables runs, and certificates.
func ProxyPackages() []string { return []string{"ca-certificates", "iptables", "nftables"} }

// All builds what is missing. Progress is called before each step that may take long, from several goroutines.
func (c *Cache) All(ctx context.Context, source Source, version IstioVersion, progress func(step string)) (out Artifacts, err error) {
	// The Go programs come one after another, as one `go build` uses all processors; what comes over the network runs beside.
	out.Istio, err = c.istio(ctx, source, version, progress, func(ctx context.Context) error {
		for _, step := range []struct {
			program Program
			path    *string
		}{
			{pause(), &out.Pause},
			{Kubernetes(), &out.Kube},
			{coreDNS(), &out.CoreDNS},
			{helm(), &out.Helm},
		} {
			progress("build " + step.program.Name)
			path, err := c.Go(ctx, source, step.program)
			if err != nil {
				return err
			}
			*step.path = path
		}
		return nil
	})
	return out, err
}

// Istio builds what is missing of one version of Istio, for a lab that has the rest. Progress is called as All does.
func (c *Cache) Istio(ctx context.Context, source Source, version IstioVersion, progress func(step string)) (Istio, error) {
	return c.istio(ctx, source, version, progress, func(context.Context) error { return nil })
}

// istio builds a version's programs after other ones.
func (c *Cache) istio(ctx context.Context, source Source, version IstioVersion, progress func(string), first func(context.Context) error) (out Istio, err error) {
	var envoy, root string
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if err := first(ctx); err != nil {
			return err
		}
		out, err = c.istioPrograms(ctx, source, version, progress)
		return err
	})
	group.Go(func() (err error) {
		progress("fetch Envoy " + version.Envoy)
		envoy, err = c.Envoy(ctx, version)
		return err
	})
	group.Go(func() (err error) {
		progress("make the root file system of the proxy's image")
		root, err = c.Debootstrap(ctx, "proxy", ProxyPackages())
		return err
	})
	err = group.Wait()
	out.Version, out.Envoy, out.ProxyRoot = version, envoy, root
	return out, err
}

func (c *Cache) istioPrograms(ctx context.Context, source Source, version IstioVersion, progress func(string)) (out Istio, err error) {
	progress("build istiod " + version.Tag)
	if out.Istiod, err = c.Go(ctx, source, istiod(version)); err != nil {
		return out, err
	}
	progress("build pilot-agent " + version.Tag)
	if out.Agent, err = c.Go(ctx, source, pilotAgent(version)); err != nil {
		return out, err
	}
	out.Module, err = source.Module(ctx, "istio.io/istio")
	return out, err
}
