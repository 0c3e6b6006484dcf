package ca

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/api/v1alpha1"
)

// SecretName is the Secret, type kubernetes.io/tls, that holds the authority.
const SecretName = "hawser-ca"

// Secrets of the manager's namespace; client-go's SecretInterface is one.
type Secrets interface {
	Get(ctx context.Context, name string, options meta.GetOptions) (*core.Secret, error)
	Create(ctx context.Context, secret *core.Secret, options meta.CreateOptions) (*core.Secret, error)
}

// LoadOrCreate returns the authority that all replicas share. Whichever comes first makes it; a replica that comes second in a race takes
// the first one's. A Secret that holds something else is an error: replacing it would cut off every machine.
func LoadOrCreate(ctx context.Context, secrets Secrets, now time.Time) (*Authority, error) {
	secret, err := secrets.Get(ctx, SecretName, meta.GetOptions{})
	if apierrors.IsNotFound(err) {
		return createSecret(ctx, secrets, now)
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s with the manager's CA: %w", SecretName, err)
	}
	return fromSecret(secret)
}

func createSecret(ctx context.Context, secrets Secrets, now time.Time) (*Authority, error) {
	authority, err := Generate(now)
	if err != nil {
		return nil, err
	}
	certificate, key, err := authority.Encode()
	if err != nil {
		return nil, err
	}
	_, err = secrets.Create(ctx, &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: SecretName, Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}},
		Type:       core.SecretTypeTLS,
		Data:       map[string][]byte{core.TLSCertKey: certificate, core.TLSPrivateKeyKey: key},
	}, meta.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		secret, err := secrets.Get(ctx, SecretName, meta.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("read Secret %s with the manager's CA, which another replica made: %w", SecretName, err)
		}
		return fromSecret(secret)
	}
	if err != nil {
		return nil, fmt.Errorf("create Secret %s for the manager's CA: %w", SecretName, err)
	}
	return authority, nil
}

func fromSecret(secret *core.Secret) (*Authority, error) {
	authority, err := Parse(secret.Data[core.TLSCertKey], secret.Data[core.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("the Secret %s/%s does not hold the manager's CA (%w): restore it, or delete it and let every machine join again",
			secret.Namespace, secret.Name, err)
	}
	return authority, nil
}
