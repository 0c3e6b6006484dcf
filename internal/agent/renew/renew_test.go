package renew

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/store"
)

// fakeManager signs with a key of its own for a day, unless it is away.
type fakeManager struct {
	mutex sync.Mutex
	key   *ecdsa.PrivateKey
	away  bool
	// ahead is how far its clock is ahead of the machine's.
	ahead  time.Duration
	asked  []time.Time
	signed int64
}

var _ Authority = (*fakeManager)(nil)

func (m *fakeManager) Renew(_ context.Context, _ *store.Identity, request []byte) (*hawserv1.RenewResponse, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.asked = append(m.asked, time.Now())
	if m.away {
		return nil, errors.New("no route to host")
	}
	parsed, err := x509.ParseCertificateRequest(request)
	if err != nil || parsed.CheckSignature() != nil {
		return nil, errors.Join(err, parsed.CheckSignature())
	}
	chain := [][]byte{m.sign(parsed.PublicKey)}
	return &hawserv1.RenewResponse{CertificateChain: chain, TrustBundle: chain}, nil
}

// state returns when the manager was asked.
func (m *fakeManager) state() []time.Time {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return slices.Clone(m.asked)
}

func (m *fakeManager) goAway(away bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.away = away
}

func (m *fakeManager) sign(public any) []byte {
	m.signed++
	template := &x509.Certificate{SerialNumber: big.NewInt(m.signed), NotBefore: time.Now().Add(m.ahead), NotAfter: time.Now().Add(m.ahead + 24*time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, m.key)
	if err != nil {
		panic(err)
	}
	return der
}

// pauses are the different times between attempts.
func pauses(asked []time.Time) []time.Duration {
	var found []time.Duration
	for i := range asked[1:] {
		found = append(found, asked[i+1].Sub(asked[i]))
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func TestRenewsAtHalfLifeAndAfterAnOutage(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		manager, kept := &fakeManager{key: key}, store.New(directory)
		if _, err := first(kept, manager); err != nil {
			t.Fatal(err)
		}
		start, told, done := time.Now(), []int64{}, make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		renewer := New(kept, manager, func(i *store.Identity) { told = append(told, i.Leaf().SerialNumber.Int64()) }, time.Now, slog.New(slog.DiscardHandler))
		go func() { done <- renewer.Run(ctx) }()
		time.Sleep(13*time.Hour + 30*time.Minute)
		synctest.Wait()
		if asked := manager.state(); len(asked) != 1 || asked[0].Sub(start) < 10*time.Hour {
			t.Fatalf("asked at %v, want once at about half of 24 h", asked)
		}
		manager.goAway(true)
		time.Sleep(72 * time.Hour)
		synctest.Wait()
		if n := len(manager.state()); n < 100 || n > 1000 {
			t.Errorf("asked %d times in 60 h without an answer", n)
		}
		if pauses := pauses(manager.state()[50:]); len(pauses) < 10 {
			t.Errorf("machines that lost the manager together come back together: pauses %v", pauses)
		}
		manager.goAway(false)
		// The stream found the manager again before the next attempt is due, and was refused.
		before := time.Now()
		renewer.Expired()
		synctest.Wait()
		if asked := manager.state(); !asked[len(asked)-1].Equal(before) {
			t.Errorf("last asked %s before the manager said that the certificate has expired", before.Sub(asked[len(asked)-1]))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(told) != 3 || told[2] != 3 {
			t.Errorf("certificates in use: %v, want 1, 2, 3", told)
		}
	})
}

// A clock that is wrong by a day makes each fresh certificate look expired, or not valid yet. It is kept, and renewed in its time.
func TestAWrongClockNeitherAsksAllTheTimeNorNever(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, ahead := range map[string]time.Duration{"a-day-ahead": 24 * time.Hour, "a-day-back": -24 * time.Hour, "a-year-back": -365 * 24 * time.Hour, "right": 0} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				manager, kept := &fakeManager{key: key, ahead: ahead}, store.New(directory)
				own, err := first(kept, manager)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() {
					done <- New(kept, manager, func(*store.Identity) {}, time.Now, slog.New(slog.DiscardHandler)).Run(ctx)
				}()
				// The manager says so once it takes the first one no more.
				time.Sleep(3 * 24 * time.Hour)
				synctest.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				if n := len(manager.state()); n < 3 || n > 8 {
					t.Errorf("asked %d times in three days", n)
				}
				identity, err := kept.Identity()
				if err != nil || !own.Equal(identity.Key) || identity.Leaf().SerialNumber.Int64() != manager.signed {
					t.Errorf("identity %v, %v after %d certificates", identity, err, manager.signed)
				}
			})
		})
	}
}

// A clock that jumps while the agent runs makes it neither ask again and again nor let the certificate end: it lives by the manager's clock.
func TestAClockThatJumpsWhileItRuns(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	// jumps are where the clock is from an hour after the start on, and where from two hours after it.
	for name, jumps := range map[string][2]time.Duration{
		"ahead": {day, day}, "ahead-and-back": {day, 0}, "back": {-day, -day}, "back-and-ahead": {-day, 0}, "half-a-day-ahead": {day / 2, day / 2},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				manager, kept := &fakeManager{key: key}, store.New(directory)
				if _, err := first(kept, manager); err != nil {
					t.Fatal(err)
				}
				var ahead atomic.Int64
				// As the kernel sets it: the monotonic reading does not come along.
				clock := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
				ctx, cancel := context.WithCancel(t.Context())
				start, done := time.Now(), make(chan error)
				go func() {
					done <- New(kept, manager, func(*store.Identity) {}, clock, slog.New(slog.DiscardHandler)).Run(ctx)
				}()
				for _, jump := range jumps {
					time.Sleep(time.Hour)
					ahead.Store(int64(jump))
				}
				time.Sleep(4 * day)
				synctest.Wait()
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				asked := append([]time.Time{start}, manager.state()...)
				if n := len(asked); n < 7 || n > 11 {
					t.Errorf("asked %d times in four days", n-1)
				}
				for i, at := range asked[1:] {
					if pause := at.Sub(asked[i]); pause > 14*time.Hour {
						t.Errorf("not asked for %s: the certificate lives for a day", pause)
					}
				}
			})
		})
	}
}

// What is tried again after a failure is tried after a pause, wherever the clock has jumped meanwhile.
func TestAClockThatJumpsBackDoesNotStopAttempts(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		manager, kept := &fakeManager{key: key, away: true}, store.New(directory)
		if _, err := first(kept, manager); err != nil {
			t.Fatal(err)
		}
		var ahead atomic.Int64
		clock := func() time.Time { return time.Now().Round(0).Add(time.Duration(ahead.Load())) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- New(kept, manager, func(*store.Identity) {}, clock, slog.New(slog.DiscardHandler)).Run(ctx)
		}()
		time.Sleep(15 * time.Hour)
		ahead.Store(int64(-24 * time.Hour))
		before := len(manager.state())
		time.Sleep(time.Hour)
		synctest.Wait()
		if after := len(manager.state()); before == 0 || after-before < 6 {
			t.Errorf("asked %d times in the hour after the clock jumped back, %d times before", after-before, before)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// first keeps an identity of the manager's.
func first(kept *store.Store, manager *fakeManager) (*ecdsa.PrivateKey, error) {
	if err := kept.Prepare(); err != nil {
		return nil, err
	}
	own, err := kept.Key()
	if err != nil {
		return nil, err
	}
	chain := [][]byte{manager.sign(&own.PublicKey)}
	return own, errors.Join(kept.KeepCertificates(chain, chain), kept.KeepEnrollment(store.Enrollment{Namespace: "shop", Name: "vm-1"}))
}
