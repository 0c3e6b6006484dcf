package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	networking "istio.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/record"
	"github.com/hawser-io/hawser/internal/refusal"
)

// tokens follows the tokens that one machine is sent, on a clock that stands unless it is moved. There is no state, as there is no revision.
type tokens struct {
	t       *testing.T
	clock   time.Time
	facts   facts.Facts
	machine facts.Machine
	life    time.Duration
	err     error
	minted  int
	sent    int
	feed    *feed
	// until is the end of the machine's certificate.
	until time.Time
	// secret that tokens are bound to, and how often that was asked for.
	secret types.UID
	looked int
}

var _ Callers = (*tokens)(nil)

func (k *tokens) Machine(context.Context) (facts.Machine, error) {
	if k.clock.After(k.until) {
		return facts.Machine{}, refusal.New(refusal.CertificateExpired)
	}
	return k.machine, nil
}

func (k *tokens) Leaving(ctx context.Context) (facts.Machine, error) { return k.Machine(ctx) }

func (k *tokens) Expiry(context.Context) time.Time { return k.until }

func newTokens(t *testing.T, hello *hawserv1.Hello) *tokens {
	t.Helper()
	key := types.NamespacedName{Namespace: "shop", Name: "vm"}
	k := &tokens{t: t, clock: time.Unix(1_800_000_000, 0), life: 24 * time.Hour, machine: facts.Machine{NamespacedName: key, Group: "ratings"}}
	k.until = k.clock.Add(1000 * time.Hour)
	k.account("ratings")
	service := NewService(Options{
		Facts: func() facts.Facts { return k.facts }, Callers: k, Tokens: k, Now: func() time.Time { return k.clock }, Logger: slog.New(slog.DiscardHandler),
	})
	k.feed = newFeed(service, k.machine, hello, deaf{}, k.until)
	return k
}

func (k *tokens) account(name string) {
	key := types.NamespacedName{Namespace: "shop", Name: "ratings"}
	k.facts.Groups = map[types.NamespacedName]facts.Group{key: {
		NamespacedName: key, Spec: &networking.WorkloadGroup{Template: &networking.WorkloadEntry{ServiceAccount: name}},
	}}
}

func (k *tokens) Mint(context.Context, facts.Machine, string, time.Duration) (*hawserv1.IstioToken, error) {
	if k.err != nil {
		return nil, k.err
	}
	k.minted++
	return &hawserv1.IstioToken{Token: fmt.Sprint(k.minted), Expiry: k.clock.Add(k.life).Unix()}, nil
}

func (k *tokens) Void(_ context.Context, _ facts.Machine, secret types.UID) (bool, error) {
	k.looked++
	return secret != k.secret, k.err
}

func (k *tokens) Context() context.Context { return k.t.Context() }

func (k *tokens) Send(r *hawserv1.SyncResponse) error {
	if r.GetToken() != nil {
		k.sent++
	}
	return nil
}

// look wants a number of tokens sent, and returns when to look again.
func (k *tokens) look(when string, want int) time.Duration {
	k.t.Helper()
	k.sent = 0
	next, err := k.feed.bring(k)
	if err != nil || k.sent != want {
		k.t.Errorf("%s: %d tokens, %v; want %d", when, k.sent, err, want)
	}
	return next
}

func TestTokenIsRefreshedAtHalfItsLife(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{})
	next := k.look("a machine without a token", 1)
	if next < 12*time.Hour || next > 12*time.Hour+time.Minute {
		t.Errorf("looks again in %v", next)
	}
	k.look("at once", 0)
	k.clock = k.clock.Add(11 * time.Hour)
	k.look("before", 0)
	k.clock = k.clock.Add(time.Hour + time.Second)
	k.look("at half its life", 1)
}

func TestTokenOfAnEarlierStreamIsKept(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{TokenExpiry: 1_800_000_000 + 20*3600, ServiceAccount: "ratings"})
	next := k.look("20 of 24 hours left", 0)
	k.clock = k.clock.Add(next)
	k.look("when it said", 1)
}

// A token is void when the Secret that it is bound to is another one, which it does not say itself.
func TestVoidTokenIsReplacedAtOnce(t *testing.T) {
	hello := &hawserv1.Hello{TokenExpiry: 1_800_000_000 + 20*3600, ServiceAccount: "ratings", TokenSecret: "before"}
	k := newTokens(t, hello)
	k.secret = "after"
	k.look("bound to another Secret", 1)
	k.look("at once", 0)
	if k.looked != 1 {
		t.Errorf("looked %d times", k.looked)
	}
}

func TestGoodTokenIsLookedAtOnce(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{TokenExpiry: 1_800_000_000 + 20*3600, ServiceAccount: "ratings", TokenSecret: "same"})
	k.secret, k.err = "same", errors.New("etcd is down")
	next := k.look("the API server is down", 0)
	if k.look("at once", 0); k.looked != 1 || next > 2*firstRetry {
		t.Errorf("looked %d times, and again in %v", k.looked, next)
	}
	k.err = nil
	k.clock = k.clock.Add(next)
	if next := k.look("then", 0); k.looked != 2 || next < 7*time.Hour {
		t.Errorf("looked %d times, and again in %v", k.looked, next)
	}
	if k.look("at once", 0); k.looked != 2 {
		t.Errorf("looked %d times", k.looked)
	}
}

func TestShortLivedTokensAreRefreshedInTime(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{})
	k.life = time.Hour
	next := k.look("a server that grants an hour", 1)
	if next > 31*time.Minute {
		t.Errorf("looks again in %v", next)
	}
	k.look("at once", 0)
	k.clock = k.clock.Add(next)
	k.look("then", 1)
}

func TestAnotherServiceAccountNeedsAnotherToken(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{})
	k.look("first", 1)
	k.account("other")
	k.look("other account", 1)
	k.look("same account", 0)
}

func TestFailedMintIsTriedAgainLaterAndLater(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{})
	k.err = errors.New("no such account")
	var waits []time.Duration
	for range 9 {
		next := k.look("failing", 0)
		waits = append(waits, next)
		k.clock = k.clock.Add(next)
	}
	if got := fmt.Sprint(waits); got != "[1s 2s 4s 8s 16s 32s 1m0s 1m0s 1m0s]" {
		t.Errorf("waits %s", got)
	}
	k.err = nil
	k.look("healed", 1)
}

// A stream is no way around the end of a certificate: whoever stole one would keep it open.
func TestStreamEndsWithItsCertificate(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{})
	k.until = k.clock.Add(time.Hour)
	k.feed.until = k.until
	next := k.look("a certificate for an hour", 1)
	if next < time.Hour || next > time.Hour+time.Minute {
		t.Errorf("looks again in %v", next)
	}
	k.clock = k.clock.Add(next)
	if _, err := k.feed.bring(k); !errors.Is(err, refusal.CertificateExpired) {
		t.Errorf("at its end: %v", err)
	}
}

func TestNoGroupNoToken(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{})
	k.facts.Groups = nil
	if next := k.look("no group", 0); next != lastRetry {
		t.Errorf("looks again in %v", next)
	}
}

type deaf struct{}

var _ Record = deaf{}

func (deaf) Report(*hawserv1.Report) {}
func (deaf) Decide(record.Decision)  {}
func (deaf) Close(bool)              {}

// A machine that comes back with a token of another account than its group's gets one as soon as there is room to mint it: not being able to at
// first must not count as having one. Until then it goes on as it was.
func TestTokenOfAnotherAccountIsMintedWhenThereIsRoom(t *testing.T) {
	k := newTokens(t, &hawserv1.Hello{TokenExpiry: 1_800_000_000 + 20*3600, ServiceAccount: "earlier", Generation: "earlier"})
	k.feed.service.minting.Store(mints)
	if in := k.look("no room", 0); in <= 0 || in > 2*firstRetry || k.minted != 0 {
		t.Errorf("looks again in %v, %d minted", in, k.minted)
	}
	if k.feed.account != "earlier" {
		t.Errorf("acts as %s", k.feed.account)
	}
	k.feed.service.minting.Store(0)
	k.clock = k.clock.Add(2 * firstRetry)
	k.look("with room", 1)
	k.look("then", 0)
}
