package host

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// observeIdentities reads whose certificates the proxies have. One that cannot be read is none: pilot-agent replaces it.
func (h *Host) observeIdentities(_ context.Context, _ *hawserv1.DesiredState, seen *plan.Observed) error {
	for _, slot := range []plan.Slot{plan.SlotA, plan.SlotB} {
		found, err := h.tree.Read(slot.CertificateFile())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if identity := identityIn(found.Content); identity != "" {
			seen.Identities[slot] = identity
		}
	}
	return nil
}

// identityIn is the SPIFFE ID of the first certificate in PEM text, empty if there is none.
func identityIn(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return ""
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil || len(certificate.URIs) == 0 {
		return ""
	}
	return certificate.URIs[0].String()
}

// forget removes the files of a certificate. The directory is the proxy's own: what is removed there is a name, whatever it leads to.
func (h *Host) forget(s plan.ForgetCertificate) error {
	for _, path := range s.Paths() {
		if err := os.Remove(h.tree.Path(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget the proxy's certificate: %w", err)
		}
	}
	return nil
}
