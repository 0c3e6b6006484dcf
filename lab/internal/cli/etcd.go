package cli

import (
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/spf13/cobra"
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
