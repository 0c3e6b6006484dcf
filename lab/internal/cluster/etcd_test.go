package cluster

import (
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// start runs an etcd as the lab does and returns how to stop it, and a client.
func start(t *testing.T, e Etcd) (stop func(), client *clientv3.Client) {
	t.Helper()
	config := embed.NewConfig()
	config.Dir, config.LogLevel, config.UnsafeNoFsync = e.Dir, "error", true
	clientURL, peerURL := parsed(t, e.URL), parsed(t, e.Peer)
	config.ListenClientUrls, config.AdvertiseClientUrls = clientURL, clientURL
	config.ListenPeerUrls, config.AdvertisePeerUrls = peerURL, peerURL
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	server, err := embed.StartEtcd(config)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(20 * time.Second):
		t.Fatal("etcd is not ready")
	}
	client, err = clientv3.New(clientv3.Config{Endpoints: []string{e.URL}, DialTimeout: dialPatience, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = client.Close() // nothing is lost by what fails
			server.Close()
		}
	}
	t.Cleanup(stop)
	return stop, client
}

func parsed(t *testing.T, text string) []url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return []url.URL{*u}
}

// free is a URL that nobody serves.
func free(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

// What was written after the snapshot is gone, and whoever watches from a revision of before is told to begin anew.
func TestEtcdIsSavedAndRestored(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	e, file := Etcd{URL: free(t), Peer: free(t), Dir: filepath.Join(dir, "etcd")}, filepath.Join(dir, "snapshot")
	stop, client := start(t, e)
	put := func(key, value string) int64 {
		t.Helper()
		response, err := client.Put(ctx, key, value)
		if err != nil {
			t.Fatal(err)
		}
		return response.Header.Revision
	}
	put("machine", "before")
	if err := e.Save(ctx, file); err != nil {
		t.Fatal(err)
	}
	put("machine", "after")
	last := put("late", "after")
	replace, err := e.Prepare(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := get(ctx, t, client, "machine"); got != "after" {
		t.Errorf("etcd has %q while it runs on", got)
	}
	stop()
	if err := replace(); err != nil {
		t.Fatal(err)
	}
	_, client = start(t, e)
	if machine, late := get(ctx, t, client, "machine"), get(ctx, t, client, "late"); machine != "before" || late != "" {
		t.Errorf("restored, it has %q and %q", machine, late)
	}
	if next := put("machine", "since"); next < last+revisionBump/2 {
		t.Errorf("revision %d after %d", next, last)
	}
	watched := <-client.Watch(ctx, "machine", clientv3.WithRev(last))
	if !errors.Is(watched.Err(), rpctypes.ErrCompacted) {
		t.Errorf("a watch from before got %v, %v", watched.Events, watched.Err())
	}
}

func get(ctx context.Context, t *testing.T, client *clientv3.Client, key string) string {
	t.Helper()
	response, err := client.Get(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if len(response.Kvs) == 0 {
		return ""
	}
	return string(response.Kvs[0].Value)
}

func TestSnapshotThatIsNone(t *testing.T) {
	dir := t.TempDir()
	e, file := Etcd{URL: free(t), Peer: free(t), Dir: filepath.Join(dir, "etcd")}, filepath.Join(dir, "snapshot")
	if err := os.WriteFile(file, []byte(strings.Repeat("no", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Prepare(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "etcd*")); err != nil || len(left) != 0 {
		t.Errorf("left %q, %v", left, err)
	}
}
