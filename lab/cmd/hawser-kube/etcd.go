package main

import (
	"context"
	"fmt"
	"net/url"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/version"
	"go.etcd.io/etcd/server/v3/embed"
)

// newEtcdCommand serves one etcd member without TLS on loopback. It understands the few flags of
// etcd that the lab and controller-runtime's envtest give.
func newEtcdCommand() *cobra.Command {
	var dataDir, client, peer, advertise string
	var unsafeNoFsync bool
	cmd := &cobra.Command{
		Use:           "etcd",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// The Kubernetes programs beside it register this flag for the whole process.
			if flag := cmd.Flag("version"); flag != nil && flag.Changed {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "etcd Version:", version.Version)
				return err
			}
			cfg, err := etcdConfig(dataDir, client, peer)
			if err != nil {
				return err
			}
			cfg.UnsafeNoFsync = unsafeNoFsync
			return serveEtcd(cmd.Context(), cfg)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dataDir, "data-dir", "default.etcd", "directory of the database")
	flags.StringVar(&client, "listen-client-urls", "http://127.0.0.1:2379", "address for clients")
	flags.StringVar(&peer, "listen-peer-urls", "http://127.0.0.1:2380", "address for peers; nobody connects to it")
	flags.StringVar(&advertise, "advertise-client-urls", "", "accepted for envtest; the listen address is advertised")
	flags.BoolVar(&unsafeNoFsync, "unsafe-no-fsync", false, "do not wait for the disk: fast, and safe unless the machine itself dies")
	return cmd
}

func etcdConfig(dataDir, client, peer string) (*embed.Config, error) {
	clientURL, err := url.Parse(client)
	if err != nil {
		return nil, fmt.Errorf("--listen-client-urls: %w", err)
	}
	peerURL, err := url.Parse(peer)
	if err != nil {
		return nil, fmt.Errorf("--listen-peer-urls: %w", err)
	}
	cfg := embed.NewConfig()
	cfg.Dir = dataDir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*clientURL}, []url.URL{*clientURL}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peerURL}, []url.URL{*peerURL}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.LogLevel = "warn"
	return cfg, nil
}

func serveEtcd(ctx context.Context, cfg *embed.Config) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server, err := embed.StartEtcd(cfg)
	if err != nil {
		return fmt.Errorf("start etcd in %s: %w", cfg.Dir, err)
	}
	defer server.Close()
	select {
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return nil
	}
}
