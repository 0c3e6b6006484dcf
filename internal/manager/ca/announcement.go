package ca

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// ConfigMapName is the ConfigMap that tells people's tools how to reach and trust the manager.
const ConfigMapName = "hawser-info"

// Keys of the ConfigMap.
const (
	// KeyCertificate holds the CA's certificate, PEM.
	KeyCertificate = "ca.crt"
	// KeyPin holds identity.Pin as text.
	KeyPin = "caPin"
	// KeyManager holds HOST:PORT of the gateway for machines; absent while no gateway has an address.
	KeyManager = "manager"
	// KeyVersion holds the manager's version.
	KeyVersion = "version"
)

// ConfigMaps of the manager's namespace; client-go's ConfigMapInterface is one.
type ConfigMaps interface {
	Get(ctx context.Context, name string, options meta.GetOptions) (*core.ConfigMap, error)
	Create(ctx context.Context, configMap *core.ConfigMap, options meta.CreateOptions) (*core.ConfigMap, error)
	Update(ctx context.Context, configMap *core.ConfigMap, options meta.UpdateOptions) (*core.ConfigMap, error)
}

// Announcement is what the ConfigMap says.
type Announcement struct {
	CertificatePEM []byte
	Pin            identity.Pin
	// Manager is HOST:PORT, empty if no gateway has an address.
	Manager string
	Version string
}

// Announce makes the ConfigMap say so. It writes only what changed, and leaves keys that are not Hawser's as they are.
func Announce(ctx context.Context, configMaps ConfigMaps, a Announcement) error {
	existing, err := configMaps.Get(ctx, ConfigMapName, meta.GetOptions{})
	if apierrors.IsNotFound(err) {
		fresh := &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: ConfigMapName, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}}}
		fresh.Data = a.data(nil)
		if _, err := configMaps.Create(ctx, fresh, meta.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create ConfigMap %s: %w", ConfigMapName, err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ConfigMap %s: %w", ConfigMapName, err)
	}
	data := a.data(existing.Data)
	if maps.Equal(data, existing.Data) {
		return nil
	}
	changed := existing.DeepCopy()
	changed.Data = data
	if _, err := configMaps.Update(ctx, changed, meta.UpdateOptions{}); err != nil {
		return fmt.Errorf("update ConfigMap %s: %w", ConfigMapName, err)
	}
	return nil
}

func (a Announcement) data(others map[string]string) map[string]string {
	data := map[string]string{}
	maps.Copy(data, others)
	data[KeyCertificate] = string(a.CertificatePEM)
	data[KeyPin] = a.Pin.String()
	data[KeyVersion] = a.Version
	delete(data, KeyManager)
	if a.Manager != "" {
		data[KeyManager] = a.Manager
	}
	return data
}

// ManagerAddress is HOST:PORT that machines reach the managers by: the first gateway with an address and a port to istiod, which
// serves the managers too. A host name is kept as it is, since its addresses change.
func ManagerAddress(gateways []facts.Gateway) string {
	for _, gateway := range gateways {
		for _, address := range gateway.Addresses {
			host := address.Hostname
			if host == "" && len(address.IPs) > 0 {
				host = address.IPs[0]
			}
			if host != "" && gateway.DiscoveryPort != 0 {
				return net.JoinHostPort(host, strconv.Itoa(int(gateway.DiscoveryPort)))
			}
		}
	}
	return ""
}
