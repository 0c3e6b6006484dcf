package publish

import (
	"context"
	"math/rand/v2"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/istiotoken"
)

// A token that could not be minted is tried again after firstRetry, then after twice as long each time up to lastRetry.
const (
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// mintPatience keeps a slow API server from holding up what the agent reports.
const mintPatience = 5 * time.Second

// mints is how many tokens are minted at the same time: each is three calls of the API server, and a client opens connections to it for
// hundreds of calls at once. Who finds no room comes back soon.
const mints = 16

// refresh returns a fresh token if the one that the machine has is due, or is worth nothing.
func (f *feed) refresh(ctx context.Context, group facts.Group, machine facts.Machine) *hawserv1.IstioToken {
	if f.life == 0 {
		f.life = f.tokenLife(machine)
	}
	due := func() bool { return istiotoken.Due(f.service.Now(), f.expiry, f.life) }
	if !due() && f.brought != "" && !f.service.Now().Before(f.notBefore) && f.enter() {
		f.examine(ctx, machine)
		f.service.minting.Add(-1)
	}
	if !due() {
		return nil
	}
	return f.mint(ctx, group, machine)
}

// examine looks whether the token that the agent came with is good. Nobody else would: a token says itself when it ends, and not that it ended before.
func (f *feed) examine(ctx context.Context, machine facts.Machine) {
	ctx, cancel := context.WithTimeout(ctx, mintPatience)
	defer cancel()
	void, err := f.service.Tokens.Void(ctx, machine, f.brought)
	if err != nil {
		f.failed("the machine's Istio token could not be looked at", err)
		return
	}
	f.brought, f.retry = "", 0
	if void {
		f.expiry = time.Time{}
		f.service.Logger.Info("the machine's Istio token is void", "machine", machine.String())
	}
}

// enter makes room for one more that asks for tokens; false if there is none.
func (f *feed) enter() bool {
	if f.service.minting.Add(1) <= mints {
		return true
	}
	f.service.minting.Add(-1)
	f.notBefore = f.service.Now().Add(rand.N(2 * firstRetry))
	return false
}

// failed has what failed tried again later.
func (f *feed) failed(what string, err error) {
	f.retry = min(max(2*f.retry, firstRetry), lastRetry)
	f.notBefore = f.service.Now().Add(f.retry)
	f.service.Logger.Warn(what, "machine", f.machine.String(), "error", err)
}

// mint returns a fresh token of the group's account, nil if there is none to be had now.
func (f *feed) mint(ctx context.Context, group facts.Group, machine facts.Machine) *hawserv1.IstioToken {
	now, account := f.service.Now(), group.ServiceAccount()
	if group.Name == "" || now.Before(f.notBefore) {
		return nil
	}
	if !f.enter() {
		return nil
	}
	defer f.service.minting.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, mintPatience)
	defer cancel()
	life := f.tokenLife(machine)
	token, err := f.service.Tokens.Mint(ctx, machine, account, life)
	if err != nil {
		f.failed("no Istio token for the machine", err)
		return nil
	}
	f.expiry, f.brought = time.Unix(token.GetExpiry(), 0), ""
	f.life, f.account, f.retry, f.notBefore = min(f.expiry.Sub(now), life), account, 0, time.Time{}
	f.service.Meter.Token()
	return token
}

// tokenLife is how long a token of the machine is to last.
func (f *feed) tokenLife(machine facts.Machine) time.Duration {
	return f.service.Facts().PolicyOf(machine.Namespace, machine.Group).IstioTokenLifetime
}

// refreshIn is when the token is due, or minting may be tried again.
func (f *feed) refreshIn() time.Duration {
	now := f.service.Now()
	if !f.notBefore.IsZero() && now.Before(f.notBefore) {
		return f.notBefore.Sub(now)
	}
	if due := f.expiry.Add(-f.life / 2).Sub(now); due > 0 {
		return due + time.Second
	}
	// There is no group to mint one for.
	return lastRetry
}
