package istiotoken

import (
	"context"
	"errors"
	"fmt"
	"time"

	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/typed/core/v1"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/api/v1alpha1"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// Audience that istiod accepts tokens of (istio.io/istio, pkg/security: TrustedAudiences).
const Audience = "istio-ca"

// Machines reads Machine objects from the API server itself, not from a cache that may lag.
type Machines interface {
	Machine(ctx context.Context, key types.NamespacedName) (facts.Machine, error)
}

// Minter mints tokens. It keeps nothing and may be used from many goroutines.
type Minter struct {
	secrets  v1.SecretsGetter
	accounts v1.ServiceAccountsGetter
	machines Machines
}

// NewMinter makes a Minter that uses the client's right to create Secrets and ServiceAccounts' tokens.
func NewMinter(client v1.CoreV1Interface, machines Machines) *Minter {
	return &Minter{secrets: client, accounts: client, machines: machines}
}

// SecretName is the name of the Secret that a machine's tokens are bound to.
func SecretName(machine string) string { return "hawser-machine-" + machine }

// Mint returns a fresh token of the ServiceAccount for the machine. A life of less than 10 minutes is refused, and the API server may grant a
// shorter one than is asked for (--service-account-max-token-expiration). It creates the machine's Secret if there is none; that is owned
// by the Machine, so it goes with it. A missing ServiceAccount is told by an error that names it.
func (m *Minter) Mint(ctx context.Context, machine facts.Machine, serviceAccount string, life time.Duration) (*hawserv1.IstioToken, error) {
	secret, err := m.ensureSecret(ctx, machine)
	if err != nil {
		return nil, err
	}
	if err := m.current(ctx, machine); err != nil {
		return nil, err
	}
	seconds := int64(life / time.Second)
	request := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{
		Audiences:         []string{Audience},
		ExpirationSeconds: &seconds,
		BoundObjectRef: &authentication.BoundObjectReference{
			APIVersion: "v1",
			Kind:       "Secret",
			Name:       secret.Name,
			UID:        secret.UID,
		},
	}}
	granted, err := m.accounts.ServiceAccounts(machine.Namespace).CreateToken(ctx, serviceAccount, request, meta.CreateOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("machine %s needs a token of ServiceAccount %s/%s, which does not exist: create it, or name another in the WorkloadGroup's template: %w",
			machine.NamespacedName, machine.Namespace, serviceAccount, err)
	}
	if err != nil {
		return nil, fmt.Errorf("request a token of ServiceAccount %s/%s for machine %s: %w", machine.Namespace, serviceAccount, machine.NamespacedName, err)
	}
	return &hawserv1.IstioToken{Token: granted.Status.Token, Expiry: granted.Status.ExpirationTimestamp.Unix()}, nil
}

// Void reports whether a token of the machine that is bound to the Secret with this UID is worth nothing any more: the Secret is not there, or is
// another one. A restore of the cluster's state does that to tokens that are younger than the state.
func (m *Minter) Void(ctx context.Context, machine facts.Machine, secret types.UID) (bool, error) {
	found, err := m.secrets.Secrets(machine.Namespace).Get(ctx, SecretName(machine.Name), meta.GetOptions{})
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read Secret %s/%s of machine %s: %w", machine.Namespace, SecretName(machine.Name), machine.NamespacedName, err)
	}
	return found.UID != secret, nil
}

// current makes sure that the machine may have a token now. It comes after the Secret: who revokes a machine deletes the Secret afterwards, so
// that it finds either this one, or is seen here.
func (m *Minter) current(ctx context.Context, machine facts.Machine) error {
	now, err := m.machines.Machine(ctx, machine.NamespacedName)
	switch {
	case err != nil:
		return fmt.Errorf("look up machine %s before it gets a token: %w", machine.NamespacedName, err)
	case now.UID != machine.UID || now.KeyFingerprint != machine.KeyFingerprint || now.Deleting:
		return fmt.Errorf("machine %s is not the one any more that asks for a token", machine.NamespacedName)
	case now.Revoked:
		return errors.Join(fmt.Errorf("machine %s was revoked", machine.NamespacedName), m.Revoke(ctx, machine.NamespacedName))
	}
	return nil
}

// Revoke voids all tokens of a machine by deleting the Secret that they are bound to. It is no error if there is none, and one that is not
// Hawser's stays.
func (m *Minter) Revoke(ctx context.Context, machine types.NamespacedName) error {
	secrets := m.secrets.Secrets(machine.Namespace)
	secret, err := secrets.Get(ctx, SecretName(machine.Name), meta.GetOptions{})
	if err == nil {
		if secret.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy {
			return nil
		}
		err = secrets.Delete(ctx, secret.Name, meta.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete Secret %s/%s to void the tokens of the machine: %w", machine.Namespace, SecretName(machine.Name), err)
	}
	return nil
}

// ensureSecret returns the machine's Secret. One that is left of an earlier machine of the same name, which the garbage collector has
// not come to yet, is replaced, so that the earlier machine's tokens end now.
func (m *Minter) ensureSecret(ctx context.Context, machine facts.Machine) (*core.Secret, error) {
	secrets := m.secrets.Secrets(machine.Namespace)
	name := SecretName(machine.Name)
	secret, err := secrets.Create(ctx, newSecret(machine), meta.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		secret, err = secrets.Get(ctx, name, meta.GetOptions{})
	}
	if err == nil && !ownedBy(secret, machine.UID) {
		if secret.Labels[v1alpha1.LabelManagedBy] != v1alpha1.ManagedBy {
			return nil, fmt.Errorf("the Secret %s/%s is in the way of machine %s and is not Hawser's: rename or delete it", machine.Namespace, name, machine.NamespacedName)
		}
		if err = secrets.Delete(ctx, name, meta.DeleteOptions{Preconditions: meta.NewUIDPreconditions(string(secret.UID))}); err == nil {
			secret, err = secrets.Create(ctx, newSecret(machine), meta.CreateOptions{})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("keep Secret %s/%s for machine %s: %w", machine.Namespace, name, machine.NamespacedName, err)
	}
	return secret, nil
}

func newSecret(machine facts.Machine) *core.Secret {
	controller := true
	return &core.Secret{
		ObjectMeta: meta.ObjectMeta{
			Namespace: machine.Namespace,
			Name:      SecretName(machine.Name),
			Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
				v1alpha1.LabelGroup:     machine.Group,
			},
			OwnerReferences: []meta.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion().String(),
				Kind:       "Machine",
				Name:       machine.Name,
				UID:        machine.UID,
				Controller: &controller,
			}},
		},
		Type: "hawser.io/machine",
	}
}

func ownedBy(secret *core.Secret, uid types.UID) bool {
	for _, owner := range secret.OwnerReferences {
		if owner.UID == uid {
			return true
		}
	}
	return false
}
