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
	// now is the host's clock.
	now func() time.Time
	log *slog.Logger
}

// New returns a renewer that Run starts. now is the host's clock.
func New(keeper Keeper, authority Authority, renewed func(*store.Identity), now func() time.Time, log *slog.Logger) *Renewer {
	return &Renewer{keeper: keeper, authority: authority, renewed: renewed, expired: make(chan struct{}, 1), now: now, log: log}
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
	next, pause := r.stored(identity.Leaf()), shortestPause
	for {
		if !r.wait(ctx, next) {
			return nil
		}
		identity, err := r.renew(ctx)
		if err == nil {
			r.log.Info("renewed the agent's certificate", "expiry", identity.Leaf().NotAfter)
			r.renewed(identity)
			next, pause = r.fresh(identity.Leaf()), shortestPause
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		retry := pause/2 + rand.N(pause)
		r.log.Warn("could not renew the agent's certificate", "error", err, "retry", retry.Round(time.Second))
		next, pause = due{latest: time.Now().Add(retry)}, min(2*pause, longestPause)
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

// due is when something is to be done: by whichever clock says so first.
type due struct {
	// date by the host's clock, which goes on while the host sleeps, and can be set; zero if that clock is wrong.
	date time.Time
	// latest by the monotonic clock, which nobody sets.
	latest time.Time
}

// stored is when a certificate is to be renewed that came some time ago.
func (r *Renewer) stored(certificate *x509.Certificate) due {
	date := halfLife(certificate)
	return due{date, time.Now().Add(min(date.Sub(r.now()), lifeOf(certificate)/2))}
}

// fresh is when a certificate that came just now is to be renewed. One that is not at the beginning of its life by this host's clock comes from a
// manager with another clock, and one of the two is wrong: the manager takes the certificate all the same, as it goes by its own. To go by this
// host's would be to ask without a pause, or never.
func (r *Renewer) fresh(certificate *x509.Certificate) due {
	now, date := r.now(), halfLife(certificate)
	if age := now.Sub(certificate.NotBefore); age >= 0 && age < lifeOf(certificate)/4 {
		return due{date, time.Now().Add(date.Sub(now))}
	}
	r.log.Warn("this host's clock and the manager's differ: set the clock (`timedatectl set-ntp true`)",
		"now", now.UTC().Format(time.RFC3339), "certificate_from", certificate.NotBefore.Format(time.RFC3339), "certificate_until", certificate.NotAfter.Format(time.RFC3339))
	return due{latest: time.Now().Add(date.Sub(certificate.NotBefore))}
}

func lifeOf(certificate *x509.Certificate) time.Duration {
	return certificate.NotAfter.Sub(certificate.NotBefore)
}

// halfLife is when the certificate is to be renewed: half of its life, up to a tenth later or earlier, so that machines
// which joined together do not come together.
func halfLife(certificate *x509.Certificate) time.Time {
	life := lifeOf(certificate)
	jitter := time.Duration(0)
	if tenth := life / 10; tenth > 0 {
		jitter = rand.N(tenth) - tenth/2
	}
	return certificate.NotBefore.Add(life/2 + jitter)
}

// wait returns true once it is due, or the manager has said that it is, false when ctx ends.
func (r *Renewer) wait(ctx context.Context, next due) bool {
	for {
		left := time.Until(next.latest)
		if !next.date.IsZero() {
			left = min(left, next.date.Sub(r.now()))
		}
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
