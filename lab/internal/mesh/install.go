package mesh

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/hawser-io/hawser/lab/internal/cluster"
)

// gatewayYAML opens istiod and the mesh's services on the gateway.
//
//go:embed files/gateway.yaml
var gatewayYAML string

// namespaceYAML tells Istio which network the cluster's pods are on.
//
//go:embed files/namespace.yaml
var namespaceYAML string

// Install installs Istio and its gateway and waits until both serve. Repeating it changes nothing.
func Install(ctx context.Context, config Config, client *cluster.Client) error {
	if err := client.Apply(ctx, namespaceYAML); err != nil {
		return err
	}
	base := release{name: "istio-base", chart: "base", values: values{}}
	if err := config.install(ctx, client, base); err != nil {
		return err
	}
	if err := NewRoots(client.Kubernetes).Ensure(ctx); err != nil {
		return fmt.Errorf("make the mesh's root certificate: %w", err)
	}
	return NewRevisions(client, config.Module).Install(ctx, config)
}

func installIstiod(ctx context.Context, config Config, client *cluster.Client) error {
	name := Istiod(config.Revision)
	istiod := release{name: name, chart: "istio-control/istio-discovery", values: config.istiodValues()}
	if err := config.install(ctx, client, istiod); err != nil {
		return err
	}
	if err := client.WaitAvailable(ctx, Namespace, name); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// InstallGateway installs the east-west gateway, which the injector of a running istiod completes, and waits for it.
func InstallGateway(ctx context.Context, config Config, client *cluster.Client) error {
	gateway := release{name: GatewayName, chart: "gateway", values: config.gatewayValues()}
	if err := config.install(ctx, client, gateway); err != nil {
		return err
	}
	if err := client.Apply(ctx, gatewayYAML); err != nil {
		return err
	}
	return client.WaitAvailable(ctx, Namespace, GatewayName)
}
