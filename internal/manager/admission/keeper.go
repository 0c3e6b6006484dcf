package admission

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hawser-io/hawser/internal/identity"
)

// attempts at a write that other replicas may do at the same time.
const attempts = 20

// ConfigMaps of the manager's namespace; client-go's ConfigMapInterface is one. What they return is what the API server has now.
type ConfigMaps interface {
	Get(ctx context.Context, name string, options meta.GetOptions) (*core.ConfigMap, error)
	Create(ctx context.Context, configMap *core.ConfigMap, options meta.CreateOptions) (*core.ConfigMap, error)
	Update(ctx context.Context, configMap *core.ConfigMap, options meta.UpdateOptions) (*core.ConfigMap, error)
}

// Keeper keeps the book for one manager process. It may be used from many goroutines.
type Keeper struct {
	configMaps ConfigMaps
	now        func() time.Time

	// mu has the writes of this process come one after the other, and guards what follows.
	mu sync.Mutex
	// mine is the last stamp that this process gave; zero if it gave none.
	mine identity.Stamp
}

// NewKeeper makes a Keeper.
func NewKeeper(configMaps ConfigMaps, now func() time.Time) *Keeper {
	return &Keeper{configMaps: configMaps, now: now}
}

// Ensure begins the book if there is none. It comes before the first admission: a state of the cluster without a book proves nothing.
func (k *Keeper) Ensure(ctx context.Context) error {
	_, err := k.configMaps.Get(ctx, ConfigMapName, meta.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = k.configMaps.Create(ctx, newPage(book{name: eightBytes()}), meta.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("keep ConfigMap %s: %w", ConfigMapName, err)
	}
	return nil
}

// Stamp notes an admission whose Machine has been written, and returns the stamp for its certificate.
func (k *Keeper) Stamp(ctx context.Context) (identity.Stamp, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var given identity.Stamp
	err := k.change(ctx, func(b book) book {
		b, given = b.give(k.termIn(b), k.now().UnixMilli())
		return b
	})
	if err != nil {
		return identity.Stamp{}, err
	}
	k.mine = given
	return given, nil
}

// termIn is the term to count on in: this process's own, or another one if the book has lost what this process noted last. What it gave after that is
// in the hands of machines, and must not be given again or be covered by a higher number.
func (k *Keeper) termIn(b book) string {
	if k.mine.IsZero() || k.mine.Book != b.name || b.terms[k.mine.Term].last < k.mine.Number {
		return eightBytes()
	}
	return k.mine.Term
}

// Forgot reports whether a stamp proves that the cluster's state was put back to one before it was made.
func (k *Keeper) Forgot(ctx context.Context, stamp identity.Stamp) (bool, error) {
	if stamp.IsZero() {
		return false, nil
	}
	_, b, err := k.open(ctx)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil && b.forgot(stamp), err
}

// open returns the ConfigMap and the book in it. The error is one that apierrors.IsNotFound knows if there is none.
func (k *Keeper) open(ctx context.Context) (*core.ConfigMap, book, error) {
	configMap, err := k.configMaps.Get(ctx, ConfigMapName, meta.GetOptions{})
	if err != nil {
		return nil, book{}, fmt.Errorf("read ConfigMap %s: %w", ConfigMapName, err)
	}
	b, err := read(configMap)
	return configMap, b, err
}

// Took notes that the machine with a stamp that was forgotten is there again.
func (k *Keeper) Took(ctx context.Context, stamp identity.Stamp) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.change(ctx, func(b book) book {
		if !b.forgot(stamp) {
			return b
		}
		return b.took(stamp)
	})
}

// change replaces the book by what apply makes of it, as if nobody else wrote.
func (k *Keeper) change(ctx context.Context, apply func(book) book) error {
	for range attempts {
		configMap, b, err := k.open(ctx)
		if apierrors.IsNotFound(err) {
			// Somebody has deleted it: another book is begun.
			if err := k.Ensure(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		apply(b).write(configMap)
		_, err = k.configMaps.Update(ctx, configMap, meta.UpdateOptions{})
		if err == nil {
			return nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("write ConfigMap %s: %w", ConfigMapName, err)
		}
	}
	return errors.New("write ConfigMap " + ConfigMapName + ": it changes all the time")
}

// eightBytes are random, in hex. crypto/rand does not fail.
func eightBytes() string {
	var raw [8]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}
