package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// etcd keeps its data without fsync: a kill loses nothing, and only a crash of the host itself could.
func (c Config) etcd() sandbox.Component {
	return sandbox.Component{
		Name: "etcd",
		Args: []string{
			c.Kube, "etcd", "--data-dir=" + c.path("etcd"), "--listen-client-urls=" + etcdURL,
			"--listen-peer-urls=" + etcdPeer, "--unsafe-no-fsync",
		},
		Ready: httpReady(etcdURL + "/health"),
	}
}

func (c Config) apiServer() sandbox.Component {
	return sandbox.Component{
		Name: "kube-apiserver",
		Args: []string{
			c.Kube, "kube-apiserver",
			"--etcd-servers=" + etcdURL,
			"--bind-address=0.0.0.0", "--secure-port=" + apiPort, "--advertise-address=" + c.NodeAddress.String(),
			"--service-cluster-ip-range=" + ServiceRange,
			"--client-ca-file=" + c.pki("ca.crt"),
			"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
			"--kubelet-certificate-authority=" + c.pki("ca.crt"),
			"--kubelet-client-certificate=" + c.pki("apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + c.pki("apiserver-kubelet-client.key"),
			// The node's name resolves nowhere.
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc." + Domain,
			"--service-account-key-file=" + c.pki("service-account.key"),
			"--service-account-signing-key-file=" + c.pki("service-account.key"),
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true", "--profiling=false",
		},
		Ready: httpReady("https://127.0.0.1:" + apiPort + "/readyz"),
		// It would wait for the watches of pods, which end only with the sandbox.
		Grace: 500 * time.Millisecond,
	}
}

func (c Config) controllerManager() sandbox.Component {
	return sandbox.Component{
		Name: "kube-controller-manager",
		Args: []string{
			c.Kube, "kube-controller-manager",
			"--kubeconfig=" + c.kubeconfig("kube-controller-manager"), "--bind-address=127.0.0.1",
			"--authentication-skip-lookup", "--leader-elect=false", "--use-service-account-credentials",
			"--service-account-private-key-file=" + c.pki("service-account.key"), "--root-ca-file=" + c.pki("ca.crt"),
			"--cluster-signing-cert-file=" + c.pki("ca.crt"), "--cluster-signing-key-file=" + c.pki("ca.key"),
			"--profiling=false",
		},
		Ready: httpReady("https://127.0.0.1:10257/healthz"),
	}
}

func (c Config) scheduler() sandbox.Component {
	return sandbox.Component{
		Name: "kube-scheduler",
		Args: []string{
			c.Kube, "kube-scheduler",
			"--kubeconfig=" + c.kubeconfig("kube-scheduler"), "--bind-address=127.0.0.1",
			"--authentication-skip-lookup", "--leader-elect=false", "--profiling=false",
		},
		Ready: httpReady("https://127.0.0.1:10259/healthz"),
	}
}

// httpReady asks for a health page. The certificate is not checked: the page is on this node's own loopback.
func httpReady(url string) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
	}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
