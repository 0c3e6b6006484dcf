package lab

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

func (l *lab) etcdRoutes() {
	route := func(verb string, do func(ctx context.Context, file string) error) {
		l.server.Handle("POST /v1/etcd/"+verb, func(r *http.Request) (any, error) {
			file := r.URL.Query().Get("file")
			if !filepath.IsAbs(file) {
				return nil, &sandbox.RequestError{Message: "the file must be an absolute path"}
			}
			return struct{}{}, do(r.Context(), file)
		})
	}
	route("save", func(ctx context.Context, file string) error { return l.clusterConfig().Etcd().Save(ctx, file) })
	route("restore", func(ctx context.Context, file string) error {
		replace, err := l.clusterConfig().Etcd().Prepare(file)
		if err != nil {
			return err
		}
		return restart(ctx, l.supervisor, []string{"kube-apiserver", "etcd"}, replace)
	})
}

// holder stops components and starts them again; *sandbox.Supervisor is one.
type holder interface {
	Hold(ctx context.Context, name string) error
	Release(ctx context.Context, name string) error
}

// restart stops components, works, and starts them again in the opposite order, also when something failed: a lab without its database is of no use.
func restart(ctx context.Context, components holder, names []string, work func() error) error {
	var err error
	stopped := 0
	for _, name := range names {
		if err = components.Hold(ctx, name); err != nil {
			break
		}
		stopped++
	}
	if err == nil {
		err = work()
	}
	// One that could not be stopped in time is held, too.
	for i := min(stopped, len(names)-1); i >= 0; i-- {
		err = errors.Join(err, components.Release(ctx, names[i]))
	}
	return err
}
