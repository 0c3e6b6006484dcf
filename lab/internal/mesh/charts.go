package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/hawser-io/hawser/lab/internal/cluster"
)

// release is one chart of the Istio module, installed under a name.
type release struct {
	name string
	// chart is the folder below manifests/charts.
	chart  string
	values values
}

// install installs a release, or upgrades it to the values given. It does not wait for what the chart starts.
func (c Config) install(ctx context.Context, client *cluster.Client, release release) error {
	chart, err := loader.Load(filepath.Join(c.Module, "manifests", "charts", filepath.FromSlash(release.chart)))
	if err != nil {
		return fmt.Errorf("read Istio's chart %s: %w", release.chart, err)
	}
	configuration, err := helmOf(client)
	if err != nil {
		return err
	}
	_, err = configuration.Releases.Last(release.name)
	switch {
	case errors.Is(err, driver.ErrReleaseNotFound):
		install := action.NewInstall(configuration)
		install.ReleaseName, install.Namespace, install.Timeout = release.name, Namespace, time.Minute
		install.WaitStrategy, install.ForceConflicts = kube.HookOnlyStrategy, true
		// Validation on this side costs seconds for the CRDs, and the API server validates anyway.
		install.DisableOpenAPIValidation = true
		_, err = install.RunWithContext(ctx, chart, release.values)
	case err == nil:
		upgrade := action.NewUpgrade(configuration)
		upgrade.Namespace, upgrade.Timeout, upgrade.ResetValues = Namespace, time.Minute, true
		upgrade.WaitStrategy, upgrade.ForceConflicts, upgrade.ServerSideApply = kube.HookOnlyStrategy, true, "true"
		upgrade.DisableOpenAPIValidation, upgrade.MaxHistory = true, 2
		_, err = upgrade.RunWithContext(ctx, release.name, chart, release.values)
	}
	if err != nil {
		return fmt.Errorf("install Istio's chart %s: %w", release.chart, err)
	}
	return nil
}

// helmOf is Helm with a cluster, without a word about what it does.
func helmOf(client *cluster.Client) (*action.Configuration, error) {
	configuration := action.NewConfiguration(action.ConfigurationSetLogger(slog.NewTextHandler(io.Discard, nil)))
	if err := configuration.Init(getter(client), Namespace, "secret"); err != nil {
		return nil, fmt.Errorf("prepare Helm: %w", err)
	}
	return configuration, nil
}

// getter gives Helm the cluster as its own command line would.
func getter(client *cluster.Client) genericclioptions.RESTClientGetter {
	flags := genericclioptions.NewConfigFlags(false)
	namespace := Namespace
	flags.Namespace = &namespace
	flags.KubeConfig = &client.Kubeconfig
	return flags.WithDiscoveryBurst(300).WithDiscoveryQPS(200)
}
