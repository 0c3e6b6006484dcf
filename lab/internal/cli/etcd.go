package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

func (a *app) etcdCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "etcd", Short: "Save the cluster's state, and put it back",
		Long: "Save the cluster's state, and put it back.\n\n" +
			"Machines, images and running pods stay as they are: the cluster alone forgets what came after the snapshot, as with a backup in earnest. " +
			"The API server is away for some seconds, and others find back to it within a minute or so. FILE must not be below /run, which the lab has one of its own of.",
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "save FILE", Short: "Write a snapshot of etcd", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return a.etcdCall(cmd, args[0], "save", "saved") },
		},
		&cobra.Command{
			Use: "restore FILE", Short: "Put etcd back to a snapshot, and wait until the API server is ready", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error { return a.etcdCall(cmd, args[0], "restore", "restored") },
		})
	return cmd
}

func (a *app) etcdCall(cmd *cobra.Command, file, verb, done string) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	if err := a.client.Call(cmd.Context(), "POST", "/v1/etcd/"+verb+"?file="+url.QueryEscape(path), nil); err != nil {
		return err
	}
	if a.output == "json" {
		return nil
	}
	fmt.Fprintf(a.out, "etcd is %s.\n", done)
	return nil
}

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
