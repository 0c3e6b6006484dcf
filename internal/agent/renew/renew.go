// Package renew keeps the agent's client certificate fresh: at half of its life it exchanges it for a new one of the same key.
// In come the stored identity and the time, out comes a stored identity that lasts longer. It does not make keys.
package renew

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/store"
)

const (
	// glance is how often the clock is looked at. A timer alone would stand still while the host sleeps.
	glance = time.Minute
	// shortestPause and longestPause bound the time between failed attempts, up to half of it more or less.
	shortestPause = 5 * time.Second
	longestPause  = 5 * time.Minute
)

// Keeper has the identity and takes its new certificates.
type Keeper interface {
	Identity() (*store.Identity, error)
	KeepCertificates(chain, trust [][]byte) error
}

// Authority signs: the manager's Renew call.
type Authority interface {
	Renew(ctx context.Context, identity *store.Identity, request []byte) (*hawserv1.RenewResponse, error)
}

// Renewer renews one machine's certificate.
type Renewer struct {
	keeper    Keeper
	authority Authority
	// renewed hears of the certificate in use: at first of the stored one, then of each new one.
	renewed func(*store.Identity)
	expired chan struct{}
	log     *slog.Logger
}

// New returns a renewer that Run starts.
func New(keeper Keeper, authority Authority, renewed func(*store.Identity), log *slog.Logger) *Renewer {
	return &Renewer{keeper: keeper, authority: authority, renewed: renewed, expired: make(chan struct{}, 1), log: log}
}

// Expired says that the manager was reached and does not take the certificate any more: it is renewed now, whatever this host's clock
// says, and however long the next attempt would be off.
func (r *Renewer) Expired() {
	select {
	case r.expired <- struct{}{}:
	default:
		// It is being renewed already.
	}
}

// Run renews until ctx ends. A manager that is away is asked again and again, also after the certificate's expiry, as the
// manager takes it for a while longer.
func (r *Renewer) Run(ctx context.Context) error {
	identity, err := r.keeper.Identity()
	if err != nil {
		return err
	}
	r.renewed(identity)
	due, pause := halfLife(identity.Leaf()), shortestPause
	for {
		if !r.wait(ctx, due) {
			return nil
		}
		identity, err := r.renew(ctx)
		if err == nil {
			r.log.Info("renewed the agent's certificate", "expiry", identity.Leaf().NotAfter)
			r.renewed(identity)
			due, pause = r.next(identity.Leaf(), time.Now()), shortestPause
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		retry := pause/2 + rand.N(pause)
		r.log.Warn("could not renew the agent's certificate", "error", err, "retry", retry.Round(time.Second))
		due, pause = time.Now().Add(retry), min(2*pause, longestPause)
	}
}

func (r *Renewer) renew(ctx context.Context) (*store.Identity, error) {
	identity, err := r.keeper.Identity()
	if err != nil {
		return nil, err
	}
	request, err := store.SigningRequest(identity.Key)
	if err != nil {
		return nil, err
	}
	response, err := r.authority.Renew(ctx, identity, request)
	if err != nil {
		return nil, err
	}
	if err := r.keeper.KeepCertificates(response.GetCertificateChain(), response.GetTrustBundle()); err != nil {
		return nil, fmt.Errorf("keep the renewed certificate: %w", err)
	}
	return r.keeper.Identity()
}

// next is when a certificate that came just now is to be renewed. One that is not in the first half of its life by this host's clock comes from a
// manager with another clock, and one of the two is wrong: the manager takes the certificate all the same, as it goes by its own. To go by this
// host's would be to ask without a pause, or never.
func (r *Renewer) next(certificate *x509.Certificate, now time.Time) time.Time {
	due := halfLife(certificate)
	if !now.Before(certificate.NotBefore) && now.Before(due) {
		return due
	}
	r.log.Warn("this host's clock and the manager's differ: set the clock (`timedatectl set-ntp true`)",
		"now", now.UTC().Format(time.RFC3339), "certificate_from", certificate.NotBefore.Format(time.RFC3339), "certificate_until", certificate.NotAfter.Format(time.RFC3339))
	return now.Add(due.Sub(certificate.NotBefore))
}

// halfLife is when the certificate is to be renewed: half of its life, up to a tenth later or earlier, so that machines
// which joined together do not come together.
func halfLife(certificate *x509.Certificate) time.Time {
	life := certificate.NotAfter.Sub(certificate.NotBefore)
	jitter := time.Duration(0)
	if tenth := life / 10; tenth > 0 {
		jitter = rand.N(tenth) - tenth/2
	}
	return certificate.NotBefore.Add(life/2 + jitter)
}

// wait returns true once the wall clock has reached due, or the manager has said that it has, false when ctx ends.
func (r *Renewer) wait(ctx context.Context, due time.Time) bool {
	// Without the monotonic reading, comparing and subtracting are by the wall clock.
	for due = due.Round(0); ; {
		left := due.Sub(time.Now().Round(0))
		if left <= 0 {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-r.expired:
			return true
		case <-time.After(min(left, glance)):
		}
	}
}
