package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// Starter starts a component and returns when it is ready.
type Starter interface {
	Start(ctx context.Context, component sandbox.Component) error
}

// StartRuntime prepares the node, writes all certificates and settings, and starts containerd.
func StartRuntime(ctx context.Context, config Config, starter Starter) error {
	if err := errors.Join(config.ensurePKI(), config.writeNodeFiles()); err != nil {
		return err
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"} {
		if err := config.writeKubeconfig(config.kubeconfig(name), name); err != nil {
			return err
		}
	}
	if err := config.writeKubeconfig(config.AdminKubeconfig(), "admin"); err != nil {
		return err
	}
	if err := errors.Join(allowBridgedServices(), routeServices(config.NodeAddress)); err != nil {
		return err
	}
	return starter.Start(ctx, config.containerd())
}

// Start brings the cluster up as far as its API and its node's programs, and returns a client. The order is that of need:
// the API server wants etcd, everything else the API server.
func Start(ctx context.Context, config Config, starter Starter) (*Client, error) {
	client, err := NewClient(config.AdminKubeconfig())
	if err != nil {
		return nil, err
	}
	if err := starter.Start(ctx, config.etcd()); err != nil {
		return nil, err
	}
	if err := starter.Start(ctx, config.apiServer()); err != nil {
		return nil, err
	}
	// Before anybody acts on it: what the cluster remembers as ready does not run yet.
	if err := forgetReadiness(ctx, client); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, component := range []sandbox.Component{
		config.controllerManager(), config.scheduler(), config.kubeProxy(), config.kubelet(),
	} {
		group.Go(func() error { return starter.Start(ctx, component) })
	}
	return client, group.Wait()
}

// InstallDNS applies CoreDNS and waits for it.
func InstallDNS(ctx context.Context, config Config, client *Client) error {
	manifest, err := config.render(coreDNSYAML)
	if err != nil {
		return err
	}
	if err := client.Apply(ctx, manifest); err != nil {
		return err
	}
	return client.WaitAvailable(ctx, "kube-system", "coredns")
}

// WaitNode waits until the node is Ready.
func WaitNode(ctx context.Context, client *Client) error {
	for {
		node, err := client.Kubernetes.CoreV1().Nodes().Get(ctx, NodeName, metav1.GetOptions{})
		if err == nil && nodeReady(node) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the node is not Ready; see `hawser-lab logs kubelet`: %w", ctx.Err())
		}
	}
}

func nodeReady(node *corev1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// allowBridgedServices lets a pod reach itself and its neighbours through a Service: the answers must pass the node's
// connection table although they only cross the bridge. The setting is one of the sandbox's network namespace.
func allowBridgedServices() error {
	for _, path := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/bridge/bridge-nf-call-iptables"} {
		if err := os.WriteFile(path, []byte("1"), 0o644); err != nil {
			return fmt.Errorf("set %s (is the module br_netfilter loaded?): %w", path, err)
		}
	}
	return nil
}
