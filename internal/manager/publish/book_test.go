package publish_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/publish"
	"github.com/hawser-io/hawser/internal/manager/record"
)

// fakeBook writes down in words what a recorder is told, and lets tests wait for a line.
type fakeBook struct {
	mu    sync.Mutex
	lines []string
	news  chan struct{}
}

func newFakeBook() *fakeBook { return &fakeBook{news: make(chan struct{})} }

func (b *fakeBook) open(s record.Session) publish.Record {
	b.write("%s opened", s.Machine.Name)
	return page{b, s.Machine.Name}
}

func (b *fakeBook) write(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
	close(b.news)
	b.news = make(chan struct{})
}

// await waits until a line holds the text.
func (b *fakeBook) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		b.mu.Lock()
		all, news := strings.Join(b.lines, "\n"), b.news
		b.mu.Unlock()
		if strings.Contains(all, text) {
			return
		}
		select {
		case <-news:
		case <-timeout:
			t.Fatalf("%q was not recorded:\n%s", text, all)
		}
	}
}

type page struct {
	book *fakeBook
	name string
}

func (p page) Report(r *hawserv1.Report) {
	p.book.write("%s reported %s", p.name, r.GetAppliedGeneration())
}

func (p page) Decide(d record.Decision) {
	if d.Problem != nil {
		p.book.write("%s has problem %s", p.name, d.Problem.Reason)
	}
}

func (p page) Close(bool) { p.book.write("%s closed", p.name) }
