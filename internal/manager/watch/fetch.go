package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// A failed pull is tried again after firstRetry, then after twice as long each time, up to lastRetry.
const (
	firstRetry = 2 * time.Second
	lastRetry  = 2 * time.Minute
)

// defaultArchitecture is pulled for a group that no machine has joined yet, so that its first join is fast.
const defaultArchitecture = "amd64"

// fetcher has the wanted images pulled and tells what came of it. A proxy that was pulled once stays as it is: a tag that moves in the
// registry reaches machines when the manager starts anew, as it reaches pods when they start anew.
type fetcher struct {
	options Options
	// take is told what came of a pull, drop that nobody wants a proxy any more.
	take func(facts.ProxyKey, facts.ProxyState)
	drop func(facts.ProxyKey)
	// wanted has capacity one and holds the newest wish.
	wanted chan map[facts.ProxyKey]bool

	// mu guards what follows: it is held while files are forgotten, so that nobody wants them meanwhile, and while what came of a pull is
	// told, so that it is not told of a proxy that was dropped.
	mu      sync.Mutex
	running map[facts.ProxyKey]context.CancelFunc
	// wishes counts how often a proxy came to be wanted whose files have not been forgotten.
	wishes map[facts.ProxyKey]int
}

func newFetcher(options Options, take func(facts.ProxyKey, facts.ProxyState), drop func(facts.ProxyKey)) *fetcher {
	return &fetcher{
		options: options,
		take:    take,
		drop:    drop,
		wanted:  make(chan map[facts.ProxyKey]bool, 1),
		running: map[facts.ProxyKey]context.CancelFunc{},
		wishes:  map[facts.ProxyKey]int{},
	}
}

// want says which proxies are wanted from now on. It returns at once, and may be called from one goroutine only.
func (f *fetcher) want(keys map[facts.ProxyKey]bool) {
	select {
	case <-f.wanted:
	default:
	}
	f.wanted <- keys
}

func (f *fetcher) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for {
		select {
		case <-ctx.Done():
			return group.Wait()
		case wanted := <-f.wanted:
			f.mu.Lock()
			for key := range wanted {
				if f.running[key] == nil {
					f.begin(ctx, group, key)
				}
			}
			for key, cancel := range f.running {
				if !wanted[key] {
					cancel()
					delete(f.running, key)
					f.drop(key)
				}
			}
			f.mu.Unlock()
		}
	}
}

func (f *fetcher) begin(ctx context.Context, group *errgroup.Group, key facts.ProxyKey) {
	pull, cancel := context.WithCancel(ctx)
	f.running[key] = cancel
	f.wishes[key]++
	wish := f.wishes[key]
	group.Go(func() error {
		f.pull(pull, key)
		<-pull.Done()
		f.retire(ctx, key, wish)
		return nil
	})
}

// pull tries until it has the proxy or nobody wants it any more.
func (f *fetcher) pull(ctx context.Context, key facts.ProxyKey) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		proxy, err := f.options.Proxies.Ensure(ctx, key.Image, key.Architecture)
		state := facts.ProxyState{Proxy: &proxy}
		if err != nil {
			state = facts.ProxyState{Problem: problemOf(key, err)}
		}
		if !f.tell(ctx, key, state) || err == nil || !pause(ctx, wait) {
			return
		}
	}
}

// tell reports false, and tells nothing, if nobody wants the proxy any more.
func (f *fetcher) tell(ctx context.Context, key facts.ProxyKey, state facts.ProxyState) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	f.take(key, state)
	return true
}

// retire has the files forgotten some time after they were wanted last, unless there was another wish since.
func (f *fetcher) retire(ctx context.Context, key facts.ProxyKey, wish int) {
	if !pause(ctx, f.options.Retain) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wishes[key] != wish {
		return
	}
	delete(f.wishes, key)
	if err := f.options.Proxies.Forget(key.Image, key.Architecture); err != nil {
		f.options.Logger.Warn("files of a proxy that is not needed any more stay", "image", key.Image, "architecture", key.Architecture, "error", err)
	}
}

// pause waits; it reports false if ctx ended before.
func pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func problemOf(key facts.ProxyKey, err error) *facts.Problem {
	if problem, ok := errors.AsType[*facts.Problem](err); ok {
		return problem
	}
	return &facts.Problem{
		Reason:  facts.ReasonImageUnavailable,
		Message: fmt.Sprintf("image %s for %s cannot be pulled: %v", key.Image, key.Architecture, err),
		Next:    "the manager tries again by itself; see its log if it does not get better",
	}
}

// wantedProxies are the images of all groups, for the architectures of their machines. A machine that has not told its own counts as
// the default.
func wantedProxies(f facts.Facts) map[facts.ProxyKey]bool {
	wanted := map[facts.ProxyKey]bool{}
	images := map[types.NamespacedName]string{}
	for key, group := range f.Groups {
		if image, problem := f.ProxyImageOf(group); problem == nil {
			images[key] = image
			wanted[facts.ProxyKey{Image: image, Architecture: defaultArchitecture}] = true
		}
	}
	for _, machine := range f.Machines {
		if image, ok := images[machine.GroupKey()]; ok && machine.Architecture != "" {
			wanted[facts.ProxyKey{Image: image, Architecture: machine.Architecture}] = true
		}
	}
	return wanted
}
