package manager

import (
	"context"
	"log/slog"
	"reflect"
	"time"

	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/watch"
)

// announceRetry is for a write that failed.
const announceRetry = 5 * time.Second

// announcer keeps ConfigMap hawser-info in step with the gateway's address. It runs on the leader alone.
type announcer struct {
	source     *watch.Source
	configMaps ca.ConfigMaps
	authority  func(ctx context.Context) (*ca.Authority, error)
	version    string
	logger     *slog.Logger
}

// NeedLeaderElection reports true.
func (a *announcer) NeedLeaderElection() bool { return true }

// Start writes until ctx ends.
func (a *announcer) Start(ctx context.Context) error {
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
	var said ca.Announcement
	for {
		var again <-chan time.Time
		say := ca.Announcement{
			CertificatePEM: authority.CertificatePEM(), Pin: authority.Pin(), Version: a.version,
			Manager: ca.ManagerAddress(a.source.Facts().Gateways),
		}
		if !reflect.DeepEqual(say, said) {
			if err := ca.Announce(ctx, a.configMaps, say); err == nil {
				said = say
			} else if ctx.Err() == nil {
				a.logger.Warn("how to reach the manager is not announced yet", "error", err)
				again = time.After(announceRetry)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-again:
		}
	}
}
