package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/etcdutl/v3/snapshot"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// Etcd is the cluster's database as far as its state is saved and put back.
type Etcd struct {
	// URL of its client port, and the URL that it names itself by to peers, of which it has none.
	URL, Peer string
	// Dir is its data directory.
	Dir string
}

const etcdPeer = "http://127.0.0.1:2380"

// Etcd of the cluster.
func (c Config) Etcd() Etcd { return Etcd{URL: etcdURL, Peer: etcdPeer, Dir: c.path("etcd")} }

const dialPatience = 5 * time.Second

// Save writes a snapshot of the running etcd to a file, which is replaced.
func (e Etcd) Save(ctx context.Context, file string) error {
	config := clientv3.Config{Endpoints: []string{e.URL}, DialTimeout: dialPatience, Logger: zap.NewNop()}
	if _, err := snapshot.NewV3(zap.NewNop()).Save(ctx, config, file); err != nil {
		return fmt.Errorf("save a snapshot of etcd to %s: %w", file, err)
	}
	return nil
}

// revisionBump is more than any etcd that was saved in this lab has counted since: watchers must not find a revision that they know, with other
// content. It is what Kubernetes' documentation on backups says to take.
const revisionBump = 1_000_000_000

// Prepare makes a data directory of a snapshot, beside the one in use, and returns the function that puts it in its place. Etcd may run until
// then, and must not when that is called.
func (e Etcd) Prepare(file string) (replace func() error, err error) {
	next := e.Dir + ".restored"
	if err := os.RemoveAll(next); err != nil {
		return nil, fmt.Errorf("remove an earlier restore: %w", err)
	}
	name := embed.NewConfig().Name
	err = snapshot.NewV3(zap.NewNop()).Restore(snapshot.RestoreConfig{
		SnapshotPath: file, OutputDataDir: next, Name: name, PeerURLs: []string{e.Peer}, InitialCluster: name + "=" + e.Peer,
		InitialClusterToken: "etcd-cluster", RevisionBump: revisionBump, MarkCompacted: true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("restore the snapshot %s: %w", file, err), os.RemoveAll(next))
	}
	return func() error {
		if err := errors.Join(os.RemoveAll(e.Dir), os.Rename(next, e.Dir)); err != nil {
			return fmt.Errorf("replace etcd's data by what was restored: %w", err)
		}
		return nil
	}, nil
}
