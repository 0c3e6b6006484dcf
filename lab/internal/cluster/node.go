package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// containerd is Debian's, with directories and a socket of the lab's own.
func (c Config) containerd() sandbox.Component {
	return sandbox.Component{
		Name: "containerd",
		Args: []string{"containerd", "--config", c.path("node", "containerd.toml")},
		Ready: func(ctx context.Context) error {
			var dialer net.Dialer
			connection, err := dialer.DialContext(ctx, "unix", containerdSocket())
			if err != nil {
				return err
			}
			return connection.Close()
		},
	}
}

func (c Config) kubelet() sandbox.Component {
	return sandbox.Component{
		Name: "kubelet",
		Args: []string{
			c.Kube, "kubelet",
			"--config=" + c.path("node", "kubelet.yaml"), "--kubeconfig=" + c.kubeconfig("kubelet"),
			"--root-dir=" + c.path("kubelet"), "--node-ip=" + c.NodeAddress.String(), "--hostname-override=" + NodeName,
		},
		Ready: httpReady("http://127.0.0.1:10248/healthz"),
	}
}

func (c Config) kubeProxy() sandbox.Component {
	return sandbox.Component{
		Name:  "kube-proxy",
		Args:  []string{c.Kube, "kube-proxy", "--config=" + c.path("node", "kube-proxy.yaml")},
		Ready: httpReady("http://127.0.0.1:10256/healthz"),
	}
}

// writeNodeFiles writes the configuration of what runs on the node.
func (c Config) writeNodeFiles() error {
	files, err := c.nodeFiles()
	if err != nil {
		return err
	}
	for name, text := range files {
		path := c.path("node", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
