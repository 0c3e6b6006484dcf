package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/host/command/commandtest"
	"github.com/hawser-io/hawser/internal/agent/host/detour"
	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/host/file/filetest"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/host/unit"
	"github.com/hawser-io/hawser/internal/agent/plan"
	"github.com/hawser-io/hawser/internal/agent/plan/plantest"
)

// fakeMachine is a machine whose files are real, below a directory of the test, and whose running parts are in memory.
type fakeMachine struct {
	*testing.T
	root   string
	owners *filetest.Owners
	// before is told of each change; a crash is one that does not return.
	before func(change string)

	running map[string]map[string]string
	stale   bool
	rules   plan.Interception
	lookups plan.Lookups
	leading string
	// open are the connections of a proxy that drains, silent: no proxy can be told to. up is how long the host is up.
	open   int
	silent bool
	up     time.Duration
}

// newMachine makes a world of these files, by path.
func newMachine(t *testing.T, world ...worldFile) *fakeMachine {
	m := &fakeMachine{T: t, root: directoryInMemory(t), owners: filetest.New(t), running: map[string]map[string]string{}}
	for _, f := range append(ordinaryWorld(), world...) {
		m.put(f)
	}
	return m
}

// directoryInMemory spares thousands of crashes the waiting for a disk.
func directoryInMemory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("/dev/shm", "hawser-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

// host returns the machine as an agent that has just started sees it.
func (m *fakeMachine) host() *Host {
	writer := atomicfile.Writer{Before: m.before}
	h := assemble(Options{Root: m.root, Artifacts: artifacts{}}, m.owners, writer)
	h.users, h.lookups, h.health = fakeUsers{m}, fakeLookups{m}, fakeHealth{m}
	h.unitStates, h.unitControl = fakeUnits{m}, fakeUnits{m}
	h.trafficState, h.trafficRules, h.leading = fakeTraffic{m}, fakeTraffic{m}, fakeTraffic{m}
	h.admin, h.uptime = fakeAdmin{m}, func() time.Duration { return m.up }
	h.detour = detour.New(commandtest.Programs{})
	h.address = func(context.Context) (string, error) { return "192.0.2.10", nil }
	return h
}

func (m *fakeMachine) step(change string) {
	if m.before != nil {
		m.before(change)
	}
}

func (m *fakeMachine) path(path string) string { return filepath.Join(m.root, path) }

// text is all that a test compares.
func (m *fakeMachine) text() string {
	m.Helper()
	text := filetest.Text(m, m.root, m.owners)
	return text + fmt.Sprintf("running %d, rules %v, lookups %q, stale %t\n", len(m.running), m.rules.Backends, m.lookups.Server, m.stale)
}

// mayRead returns an error unless the proxy's user can get at a file.
func (m *fakeMachine) mayRead(path string) error {
	want := fs.FileMode(4)
	for at := m.path(path); at != m.root; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		mode := info.Mode().Perm()
		if m.owners.Of(at, info) == file.Number(plan.Proxy) {
			mode >>= 6
		}
		if mode&want == 0 {
			return fmt.Errorf("the proxy's user may not get at %s (%v)", at, info.Mode())
		}
		want = 1
	}
	return nil
}

// fakeUsers edits the files as the tools for users do, with their copies.
type fakeUsers struct{ *fakeMachine }

func (u fakeUsers) Exists() (bool, error) {
	passwd, err := os.ReadFile(u.path("/etc/passwd"))
	group, groupErr := os.ReadFile(u.path("/etc/group"))
	return bytes.Contains(passwd, []byte("istio-proxy")) && bytes.Contains(group, []byte("istio-proxy")), errors.Join(err, groupErr)
}

func (u fakeUsers) Create(context.Context) error {
	return errors.Join(u.edit("group", "istio-proxy:x:1337:\n", true), u.edit("passwd", "istio-proxy:x:1337:1337::/:/usr/sbin/nologin\n", true))
}

// Remove refuses as userdel does (userdel(8)).
func (u fakeUsers) Remove(context.Context) error {
	if len(u.running) > 0 {
		return errors.New("user istio-proxy is currently used by process 1")
	}
	return u.force()
}

func (u fakeUsers) force() error {
	return errors.Join(u.edit("passwd", "istio-proxy:x:1337:1337::/:/usr/sbin/nologin\n", false), u.edit("group", "istio-proxy:x:1337:\n", false))
}

func (u fakeUsers) edit(name, line string, add bool) error {
	at := u.path("/etc/" + name)
	content, err := os.ReadFile(at)
	if err != nil || bytes.Contains(content, []byte(line)) == add {
		return err
	}
	u.step("the tools copy " + name)
	if err := os.WriteFile(at+"-", content, 0o600); err != nil {
		return err
	}
	without := bytes.ReplaceAll(content, []byte(line), nil)
	if add {
		without = append(content, line...)
	}
	u.step("the tools write " + name)
	return os.WriteFile(at, without, 0o644)
}

// fakeUnits starts what the proxy's user could start.
type fakeUnits struct{ *fakeMachine }

func (u fakeUnits) States(_ context.Context, names ...string) (map[string]unit.State, error) {
	states := map[string]unit.State{}
	for _, name := range names {
		environment, active := u.running[name]
		states[name] = unit.State{Active: active, Stale: u.stale, PID: len(name), Environment: environment}
	}
	states[interception.SwitchUnit] = unit.State{Active: u.rules.Armed}
	return states, nil
}

func (u fakeUnits) Reload(context.Context) error { u.stale = false; return nil }

func (u fakeUnits) Forget(context.Context, string) {}

func (u fakeUnits) Start(_ context.Context, name string) error {
	slot := plan.SlotA
	if name == plan.SlotB.Unit() {
		slot = plan.SlotB
	}
	target, err := os.Readlink(u.path(slot.Link()))
	if err != nil {
		return err
	}
	for _, path := range []string{
		filepath.Join(slot.Directory(), target, "envoy"), slot.Directory() + "/etc/istio/config/mesh",
		slot.Directory() + "/var/run/secrets/istio/root-cert.pem", slot.TokenFile(), plan.UpstreamResolvConf,
	} {
		if err := u.mayRead(path); err != nil {
			return err
		}
	}
	environment, err := os.ReadFile(u.path(slot.Directory() + "/proxy.env"))
	if err != nil {
		return err
	}
	_, rest, _ := strings.Cut(string(environment), plan.VariableConfiguration+"=\"")
	stamp, _, _ := strings.Cut(rest, "\"")
	u.running[name] = map[string]string{plan.VariableConfiguration: stamp}
	// A process of the proxy's leaves files of its own.
	return os.WriteFile(u.path(slot.Directory()+"/etc/certs/key.pem"), nil, 0o600)
}

func (u fakeUnits) Restart(ctx context.Context, name string) error { return u.Start(ctx, name) }

// Stop needs the unit's file: how a proxy drains is written there.
func (u fakeUnits) Stop(_ context.Context, name string) error {
	_, first := os.Stat(u.path(packaged))
	_, second := os.Stat(u.path(plan.RuntimeUnit))
	if _, running := u.running[name]; running && first != nil && second != nil {
		return fmt.Errorf("stop %s: its file is gone", name)
	}
	delete(u.running, name)
	return nil
}

type fakeTraffic struct{ *fakeMachine }

func (f fakeTraffic) Backend(context.Context) (plan.Backend, string) { return plan.NFTables, "" }

func (f fakeTraffic) Observe(context.Context, bool) (plan.Interception, error) { return f.rules, nil }

func (f fakeTraffic) Apply(_ context.Context, program string, rules plan.Rules) error {
	f.rules = plan.Interception{Backends: []plan.Backend{rules.Backend}, Applied: rules.String(), Whole: true, Armed: true}
	return nil
}

func (f fakeTraffic) Confirm(context.Context, plan.Rules, interception.Reach) error {
	f.rules.Armed = false
	return nil
}

func (f fakeTraffic) Remove(context.Context, plan.Backend) error {
	f.rules, f.leading = plan.Interception{}, ""
	return nil
}

func (f fakeTraffic) Led(context.Context) (string, error) { return f.leading, nil }

func (f fakeTraffic) Lead(_ context.Context, to plan.Leading) error {
	if f.leading = to.String(); f.leading == (plan.Leading{}).String() {
		f.leading = ""
	}
	return nil
}

type fakeAdmin struct{ *fakeMachine }

func (a fakeAdmin) Drain(context.Context, int) error {
	if a.silent {
		return errors.New("it does not answer")
	}
	return nil
}

func (a fakeAdmin) Connections(context.Context, int) (int, error) { return a.open, nil }

type fakeLookups struct{ *fakeMachine }

func (l fakeLookups) Observe(context.Context) (plan.Lookups, error) { return l.lookups, nil }

func (l fakeLookups) Set(_ context.Context, lookups plan.Lookups) error {
	l.lookups = lookups
	return nil
}

func (l fakeLookups) Remove(context.Context) error { l.lookups = plan.Lookups{}; return nil }

type fakeHealth struct{ *fakeMachine }

func (h fakeHealth) Check(context.Context, int) error {
	if len(h.running) == 0 {
		return errors.New("no proxy runs")
	}
	return nil
}

func (h fakeHealth) Await(ctx context.Context, port int, _ time.Duration) error {
	return h.Check(ctx, port)
}

// artifacts serve one file.
type artifacts struct{}

const envoy = "the bytes of Envoy"

func (artifacts) ReadArtifact(_ context.Context, _ string, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(compressed()[offset:])), nil
}

// compressed is made once: encoders are large, and thousands of crashes need it.
var compressed = sync.OnceValue(func() []byte {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return encoder.EncodeAll([]byte(envoy), nil)
})

// desired is what plantest has, with files that can be fetched and a library that every host has.
func desired() *hawserv1.DesiredState {
	want := plantest.Desired()
	sum := sha256.Sum256([]byte(envoy))
	want.Proxy.MinGlibc = ""
	want.Proxy.Files = []*hawserv1.ProxyFile{{
		Path: "envoy", Sha256: hex.EncodeToString(sum[:]), Size: int64(len(envoy)), CompressedSize: int64(len(compressed())), Executable: true,
	}}
	return want
}
