package mesh

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// The Secret that istiod takes its CA from, as files (istio.io/istio, security/pkg/pki/ca), the one that keeps the root which is to
// come, and the one that istiod keeps its own in when it gets none.
const (
	rootsSecret    = "cacerts"
	nextRootSecret = "lab-next-root"
	ownRootSecret  = "istio-ca-secret"

	fileCertificate = "ca-cert.pem"
	fileKey         = "ca-key.pem"
	fileChain       = "cert-chain.pem"
	fileRoots       = "root-cert.pem"
)

// Roots are the mesh's root certificates. istiod signs by one of them, itself without an intermediate, and has all proxies trust them all.
// They are rotated in three steps, each of which everybody has to have taken before the next: Add, Use, Drop.
type Roots struct{ secrets typed.SecretInterface }

// NewRoots are those of the cluster's mesh.
func NewRoots(client kubernetes.Interface) Roots { return Roots{client.CoreV1().Secrets(Namespace)} }

// Ensure makes the first root if there is none. One that istiod has made for itself, in a lab of before, is taken over: all proxies trust it.
func (r Roots) Ensure(ctx context.Context) error {
	_, err := r.secrets.Get(ctx, rootsSecret, metav1.GetOptions{})
	if err == nil || !apierrors.IsNotFound(err) {
		return err
	}
	root, err := r.own(ctx)
	if err != nil {
		return err
	}
	data := map[string][]byte{}
	root.sign(data)
	data[fileRoots] = root.certificate
	_, err = r.secrets.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: rootsSecret}, Data: data}, metav1.CreateOptions{})
	return err
}

// own is the root that istiod has made for itself, or a new one.
func (r Roots) own(ctx context.Context) (root, error) {
	own, err := r.read(ctx, ownRootSecret)
	if apierrors.IsNotFound(err) {
		return newRoot()
	}
	return own, err
}

func (r Roots) read(ctx context.Context, secret string) (root, error) {
	found, err := r.secrets.Get(ctx, secret, metav1.GetOptions{})
	if err != nil {
		return root{}, err
	}
	return root{certificate: found.Data[fileCertificate], key: found.Data[fileKey]}, nil
}

// Add makes another root, which is trusted and does not sign yet.
func (r Roots) Add(ctx context.Context) error {
	root, err := newRoot()
	if err != nil {
		return err
	}
	next := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: nextRootSecret}, Data: map[string][]byte{fileCertificate: root.certificate, fileKey: root.key}}
	if _, err := r.secrets.Create(ctx, next, metav1.CreateOptions{}); apierrors.IsAlreadyExists(err) {
		return errors.New("another root was added before: use it, and drop the former one, first")
	} else if err != nil {
		return err
	}
	return r.change(ctx, func(data map[string][]byte) error {
		data[fileRoots] = append(bytes.Clone(data[fileRoots]), root.certificate...)
		return nil
	})
}

// Use has istiod sign by the root that was added. Proxies ask for new certificates when what they are to trust changes, and else when half of a
// certificate's life is over: one more root, which nobody signs by, has them do it now.
func (r Roots) Use(ctx context.Context) error {
	root, err := r.next(ctx)
	if err != nil {
		return err
	}
	return r.change(ctx, func(data map[string][]byte) error {
		if bytes.Equal(data[fileCertificate], root.certificate) {
			return nil
		}
		idle, err := newRoot()
		root.sign(data)
		data[fileRoots] = append(bytes.Clone(data[fileRoots]), idle.certificate...)
		return err
	})
}

// Drop ends the trust in the former root.
func (r Roots) Drop(ctx context.Context) error {
	root, err := r.next(ctx)
	if err != nil {
		return err
	}
	err = r.change(ctx, func(data map[string][]byte) error {
		if !bytes.Equal(data[fileCertificate], root.certificate) {
			return errors.New("the former root still signs: use the other one first")
		}
		data[fileRoots] = root.certificate
		return nil
	})
	if err != nil {
		return err
	}
	return r.secrets.Delete(ctx, nextRootSecret, metav1.DeleteOptions{})
}

func (r Roots) next(ctx context.Context) (root, error) {
	next, err := r.read(ctx, nextRootSecret)
	if apierrors.IsNotFound(err) {
		return root{}, errors.New("no root was added")
	}
	return next, err
}

func (r Roots) change(ctx context.Context, change func(data map[string][]byte) error) error {
	secret, err := r.secrets.Get(ctx, rootsSecret, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read the mesh's roots: %w", err)
	}
	if err := change(secret.Data); err != nil {
		return err
	}
	_, err = r.secrets.Update(ctx, secret, metav1.UpdateOptions{})
	return err
}

// root is a certificate that signs itself, and its key, both in PEM.
type root struct{ certificate, key []byte }

func newRoot() (root, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return root{}, err
	}
	name := "Lab root of " + time.Now().UTC().Format(time.RFC3339Nano)
	certificate, err := cert.NewSelfSignedCACert(cert.Config{CommonName: name, Organization: []string{"hawser-lab"}}, key)
	if err != nil {
		return root{}, err
	}
	encoded, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return root{}, err
	}
	pem, err := cert.EncodeCertificates(certificate)
	return root{certificate: pem, key: encoded}, err
}

// sign has istiod sign by the root.
func (r root) sign(data map[string][]byte) {
	data[fileCertificate], data[fileChain], data[fileKey] = r.certificate, r.certificate, r.key
}
