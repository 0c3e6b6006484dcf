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
		renewer := New(kept, manager, func(i *store.Identity) { told = append(told, i.Leaf().SerialNumber.Int64()) }, slog.New(slog.DiscardHandler))
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
					done <- New(kept, manager, func(*store.Identity) {}, slog.New(slog.DiscardHandler)).Run(ctx)
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
