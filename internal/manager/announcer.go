package manager

import (
	"context"
	"log/slog"
	"time"

	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/facts"
)

// announceAgain is how often the ConfigMap is looked at although no fact has changed: somebody may have deleted or edited it, and people are
// told that it comes back.
const announceAgain = 5 * time.Second

// source gives the facts; *watch.Source is one.
type source interface {
	Facts() facts.Facts
	Changed(ctx context.Context) <-chan struct{}
	Synced() <-chan struct{}
}

// announcer keeps ConfigMap hawser-info in step with the gateway's address. It runs on the leader alone.
type announcer struct {
	source     source
	configMaps ca.ConfigMaps
	authority  func(ctx context.Context) (*ca.Authority, error)
	version    string
	logger     *slog.Logger
}

// Run writes until ctx ends.
func (a *announcer) Run(ctx context.Context) error {
	changed := a.source.Changed(ctx)
	select {
	case <-ctx.Done():
		return nil
	case <-a.source.Synced():
	}
	authority, err := a.authority(ctx)
	if err != nil {
		return err
	}
	again := time.NewTicker(announceAgain)
	defer again.Stop()
	for {
		say := ca.Announcement{
			CertificatePEM: authority.CertificatePEM(), Pin: authority.Pin(), Version: a.version,
			Manager: ca.ManagerAddress(a.source.Facts().Gateways),
		}
		if err := ca.Announce(ctx, a.configMaps, say); err != nil && ctx.Err() == nil {
			a.logger.Warn("how to reach the manager is not announced yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again.C:
		}
	}
}
