package cluster

import (
	"encoding/pem"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
)

// writeKubeconfig writes a kubeconfig that holds the CA, certificate and key of an identity itself, so that the file can
// be used from anywhere. Only root may read it.
func (c Config) writeKubeconfig(path, identity string) error {
	var content [3][]byte
	for i, name := range []string{"ca.crt", identity + ".crt", identity + ".key"} {
		var err error
		if content[i], err = os.ReadFile(c.pki(name)); err != nil {
			return fmt.Errorf("write kubeconfig of %s: %w", identity, err)
		}
	}
	config := api.NewConfig()
	config.Clusters["hawser-lab"] = &api.Cluster{Server: c.Server(), CertificateAuthorityData: content[0]}
	config.AuthInfos[identity] = &api.AuthInfo{ClientCertificateData: content[1], ClientKeyData: content[2]}
	config.Contexts["hawser-lab"] = &api.Context{Cluster: "hawser-lab", AuthInfo: identity}
	config.CurrentContext = "hawser-lab"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", identity, err)
	}
	return nil
}

func (c Config) kubeconfig(identity string) string { return c.pki(identity + ".kubeconfig") }

func certificatePEM(raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: cert.CertificateBlockType, Bytes: raw})
}
