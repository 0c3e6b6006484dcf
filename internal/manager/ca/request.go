package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"

	"github.com/hawser-io/hawser/internal/identity"
)

// maxRequest in bytes; a request with a P-256 key has about 250.
const maxRequest = 4096

// RequestKey returns the key of a PKCS #10 request (DER), which has to be ECDSA P-256 and to have signed the request, and the key's
// fingerprint. All else in the request is ignored: what a machine is called is not its own to say.
func RequestKey(der []byte) (key crypto.PublicKey, fingerprint string, err error) {
	if len(der) == 0 || len(der) > maxRequest {
		return nil, "", errors.New("the certificate signing request is missing or too large")
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, "", errors.New("the certificate signing request cannot be read")
	}
	if public, ok := request.PublicKey.(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		return nil, "", errors.New("the certificate signing request is for a key that is not ECDSA P-256")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, "", errors.New("the certificate signing request is not signed by its own key")
	}
	fingerprint, err = identity.Fingerprint(request.PublicKey)
	return request.PublicKey, fingerprint, err
}
