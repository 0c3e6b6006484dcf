package agent

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/agent/address"
	"github.com/hawser-io/hawser/internal/agent/report"
)

// burst is how long to wait after an event for those that come with it: a link that comes up brings several.
const burst = 250 * time.Millisecond

// watchAddresses keeps the board's addresses current and calls moved when the machine is reached by another one.
func watchAddresses(ctx context.Context, manager string, board *report.Board, moved func(), log *slog.Logger) error {
	group, ctx := errgroup.WithContext(ctx)
	changed, lister := make(chan struct{}, 1), address.NewLister(manager)
	group.Go(func() error {
		return address.Watch(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	})
	group.Go(func() error {
		for {
			if list, err := lister.List(ctx); err != nil {
				log.Warn("could not list the host's addresses", "error", err)
			} else if len(list) > 0 && !slices.Equal(list, board.Facts().Addresses) {
				before := board.Facts().Address
				board.Update(func(f *report.Facts) { f.Address, f.Addresses = list[0], list })
				if before != "" && before != list[0] {
					log.Info("the machine's address changed", "from", before, "to", list[0])
					moved()
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(burst):
			}
		}
	})
	return group.Wait()
}

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
