package ctl

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/ctl/problem"
)

// infoName is the ConfigMap in the manager's namespace that holds what its users have to know. Everybody who is logged in may read it.
const infoName = "hawser-info"

// info is the content of the ConfigMap.
type info struct {
	// pin of the manager's CA, as in a join token.
	pin string
	// manager is the gateway's address, host and port; empty if the manager has found no gateway.
	manager string
	version string
}

// readInfo reads what the manager says of itself.
func readInfo(ctx context.Context, c *cluster.Cluster, namespace string) (info, error) {
	object, err := c.Get(ctx, cluster.ConfigMaps(), namespace, infoName)
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && apierrors.IsNotFound(err) {
		return info{}, problem.New("kubectl get deployments -A -l app.kubernetes.io/name=hawser-manager   (then --manager-namespace)",
			"there is no ConfigMap %s in namespace %s: the manager is not installed there, or has not started yet", infoName, namespace)
	}
	if err != nil {
		return info{}, err
	}
	config, err := cluster.Decode[corev1.ConfigMap](object)
	if err != nil {
		return info{}, err
	}
	found := info{pin: config.Data["caPin"], manager: config.Data["manager"], version: config.Data["version"]}
	if found.pin == "" {
		return info{}, problem.New("kubectl -n "+namespace+" rollout status deployment/hawser-manager",
			"the manager has not published the pin of its CA yet (ConfigMap %s/%s has no caPin)", namespace, infoName)
	}
	return found, nil
}
