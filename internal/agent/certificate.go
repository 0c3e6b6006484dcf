package agent

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"

	"github.com/hawser-io/hawser/internal/agent/report"
)

// certificatePeriod is how often the proxy's certificate is looked at; it lives for hours.
const certificatePeriod = 15 * time.Second

// watchProxyCertificate keeps the life time of the proxy's certificate on the board. path depends on the slot.
func watchProxyCertificate(ctx context.Context, board *report.Board, path func(slot string) string) error {
	ticker := time.NewTicker(certificatePeriod)
	defer ticker.Stop()
	changed, stop := board.Watch()
	defer stop()
	last := time.Time{}
	for {
		facts := board.Facts()
		if slot := facts.Proxy.Slot; slot != "" {
			if info, err := os.Stat(path(slot)); err == nil && !info.ModTime().Equal(last) {
				if validity, ok := certificateIn(path(slot)); ok {
					validity.Obtained = info.ModTime().UTC()
					last = info.ModTime()
					board.Update(func(f *report.Facts) { f.Certificates.Proxy = validity })
				}
			}
		}
		// Until there is one, each change may bring it; from then on the clock is enough.
		news := changed
		if !last.IsZero() {
			news = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-news:
		case <-ticker.C:
		}
	}
}

// certificateIn reads the first certificate of a PEM file; false while it is being written.
func certificateIn(path string) (report.Validity, bool) {
	content, err := os.ReadFile(path)
	if err != nil {
		return report.Validity{}, false
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return report.Validity{}, false
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return report.Validity{}, false
	}
	return report.Validity{NotBefore: certificate.NotBefore, NotAfter: certificate.NotAfter}, true
}
