package ca

import (
	"context"
	"strings"
	"sync"
	"testing"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

var (
	_ Secrets    = typed.SecretInterface(nil)
	_ ConfigMaps = typed.ConfigMapInterface(nil)
)

func TestReplicasShareOneAuthority(t *testing.T) {
	secrets := fake.NewClientset().CoreV1().Secrets("hawser-system")
	pins := make([]string, 8)
	var wait sync.WaitGroup
	for i := range pins {
		wait.Go(func() {
			a, err := LoadOrCreate(context.Background(), secrets, now())
			if err != nil {
				t.Error(err)
				return
			}
			pins[i] = a.Pin().String()
		})
	}
	wait.Wait()
	for _, pin := range pins {
		if pin != pins[0] {
			t.Fatalf("replicas have different authorities: %v", pins)
		}
	}
}

func TestForeignSecretIsNotReplaced(t *testing.T) {
	secrets := fake.NewClientset(&core.Secret{
		ObjectMeta: meta.ObjectMeta{Namespace: "hawser-system", Name: SecretName},
		Data:       map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")},
	}).CoreV1().Secrets("hawser-system")
	if _, err := LoadOrCreate(context.Background(), secrets, now()); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("error %v", err)
	}
}

func TestAnnounceWritesOnlyChanges(t *testing.T) {
	client := fake.NewClientset()
	configMaps := client.CoreV1().ConfigMaps("hawser-system")
	a := generate(t)
	say := Announcement{CertificatePEM: a.CertificatePEM(), Pin: a.Pin(), Manager: "192.0.2.1:15012", Version: "0.1.0"}
	announce := func(want int) {
		t.Helper()
		client.ClearActions()
		if err := Announce(context.Background(), configMaps, say); err != nil {
			t.Fatal(err)
		}
		writes := 0
		for _, action := range client.Actions() {
			if action.GetVerb() != "get" {
				writes++
			}
		}
		if writes != want {
			t.Errorf("%d writes, want %d: %v", writes, want, client.Actions())
		}
	}
	announce(1)
	announce(0)
	say.Manager = ""
	announce(1)
	got, err := configMaps.Get(context.Background(), ConfigMapName, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, there := got.Data[KeyManager]; there || got.Data[KeyPin] != a.Pin().String() || got.Data[KeyVersion] != "0.1.0" {
		t.Errorf("ConfigMap holds %v", got.Data)
	}
}

func TestManagerAddress(t *testing.T) {
	for name, c := range map[string]struct {
		gateways []facts.Gateway
		want     string
	}{
		"none":       {nil, ""},
		"pending":    {[]facts.Gateway{{DiscoveryPort: 15012}}, ""},
		"no-port":    {[]facts.Gateway{{Addresses: []facts.GatewayAddress{{IPs: []string{"192.0.2.1"}}}}}, ""},
		"literal":    {[]facts.Gateway{{DiscoveryPort: 15012, Addresses: []facts.GatewayAddress{{IPs: []string{"192.0.2.1"}}}}}, "192.0.2.1:15012"},
		"IPv6":       {[]facts.Gateway{{DiscoveryPort: 15012, Addresses: []facts.GatewayAddress{{IPs: []string{"2001:db8::1"}}}}}, "[2001:db8::1]:15012"},
		"host":       {[]facts.Gateway{{DiscoveryPort: 31012, Addresses: []facts.GatewayAddress{{Hostname: "lb.example", IPs: []string{"192.0.2.1"}}}}}, "lb.example:31012"},
		"second-one": {[]facts.Gateway{{}, {DiscoveryPort: 1, Addresses: []facts.GatewayAddress{{}, {IPs: []string{"192.0.2.2"}}}}}, "192.0.2.2:1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ManagerAddress(c.gateways); got != c.want {
				t.Errorf("ManagerAddress = %q, want %q", got, c.want)
			}
		})
	}
}
