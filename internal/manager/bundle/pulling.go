package bundle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/internal/manager/facts"
)

// pullLimit is how long a pull may take. One that hangs is begun anew by the next call that asks for it.
const pullLimit = 10 * time.Minute

var errClosed = errors.New("the proxy store is closed")

// pulling is a pull under way. It belongs to the store and not to the call that began it: a join that has no more patience must not throw
// away what the next one would need.
type pulling struct {
	cancel context.CancelFunc
	done   chan struct{}
	// proxy and err are what came of it; they are set before done is closed.
	proxy facts.Proxy
	err   error
}

// begin starts a pull; the caller holds mu.
func (s *Store) begin(ctx context.Context, key facts.ProxyKey) *pulling {
	p := &pulling{done: make(chan struct{})}
	if s.closed {
		p.err = errClosed
		close(p.done)
		return p
	}
	ctx, p.cancel = context.WithTimeout(context.WithoutCancel(ctx), pullLimit)
	s.pulling[key] = p
	s.pulls.Go(func() {
		defer p.cancel()
		proxy, err := s.pull(ctx, key)
		s.finish(p, key, proxy, err)
	})
	return p
}

func (s *Store) finish(p *pulling, key facts.ProxyKey, proxy facts.Proxy, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Another image with the same files may have been forgotten after this one's pull found them in their places.
	if err == nil && !s.complete(proxy) {
		err = fmt.Errorf("a file of %s was deleted while it was pulled", key.Image)
	}
	if err == nil {
		s.proxies[key] = proxy
	}
	p.proxy, p.err = proxy, err
	delete(s.pulling, key)
	close(p.done)
}

// Close ends all pulls and waits for their ends. What was pulled stays in the directory.
func (s *Store) Close() {
	s.mu.Lock()
	s.closed = true
	for _, p := range s.pulling {
		p.cancel()
	}
	s.mu.Unlock()
	s.pulls.Wait()
}
