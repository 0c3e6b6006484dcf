package host

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/address"
	"github.com/hawser-io/hawser/internal/agent/atomicfile"
	"github.com/hawser-io/hawser/internal/agent/host/account"
	"github.com/hawser-io/hawser/internal/agent/host/command"
	"github.com/hawser-io/hawser/internal/agent/host/detour"
	"github.com/hawser-io/hawser/internal/agent/host/file"
	"github.com/hawser-io/hawser/internal/agent/host/interception"
	"github.com/hawser-io/hawser/internal/agent/host/ledger"
	"github.com/hawser-io/hawser/internal/agent/host/proxy"
	"github.com/hawser-io/hawser/internal/agent/host/resolver"
	"github.com/hawser-io/hawser/internal/agent/host/socket"
	"github.com/hawser-io/hawser/internal/agent/host/unit"
	"github.com/hawser-io/hawser/internal/agent/plan"
)

// ArtifactReader gets the proxy's files from the manager.
type ArtifactReader interface {
	// ReadArtifact returns the zstd-compressed form of the file with this SHA-256 (lower-case hex, of the uncompressed
	// content), from an offset in the compressed form on.
	ReadArtifact(ctx context.Context, sha256 string, offset int64) (io.ReadCloser, error)
}

// Options of a Host.
type Options struct {
	// Root is put before the path of every file; empty on a real machine.
	Root string
	// Manager is HOST:PORT as it is dialled: the machine's address is the source address of the route to it.
	Manager string
	// Artifacts is needed by InstallVersion alone.
	Artifacts ArtifactReader
	// Reachable makes a new connection to the manager and returns nil if it answers. Interception is confirmed by it; nil
	// confirms by SSH alone.
	Reachable func(ctx context.Context) error
	// InterceptionDelay is the time of the dead man's switch; 0: interception.DefaultDelay.
	InterceptionDelay time.Duration
	// Before is told of each change before it is made; nil for nobody. Tests die in it.
	Before func(change string)
	// Log gets what is worth to know beside the steps; nil for nothing.
	Log *slog.Logger
}

// These are the effects beside files.
type (
	users interface {
		Exists() (bool, error)
		Create(ctx context.Context) error
		Remove(ctx context.Context) error
	}
	unitStates interface {
		States(ctx context.Context, units ...string) (map[string]unit.State, error)
		Reload(ctx context.Context) error
		Forget(ctx context.Context, unit string)
	}
	unitControl interface {
		Start(ctx context.Context, unit string) error
		Restart(ctx context.Context, unit string) error
		Stop(ctx context.Context, unit string) error
	}
	trafficState interface {
		Backend(ctx context.Context) (plan.Backend, string)
		Observe(ctx context.Context, alsoIPTables bool) (plan.Interception, error)
	}
	trafficRules interface {
		Apply(ctx context.Context, program string, rules plan.Rules) error
		Confirm(ctx context.Context, rules plan.Rules, reach interception.Reach) error
		Remove(ctx context.Context, backend plan.Backend) error
	}
	lookups interface {
		Observe(ctx context.Context) (plan.Lookups, error)
		Set(ctx context.Context, lookups plan.Lookups) error
		Remove(ctx context.Context) error
	}
	versionFiles interface {
		Install(ctx context.Context, version string, files []*hawserv1.ProxyFile) error
		Whole(version string, files []*hawserv1.ProxyFile) (bool, error)
		Remove(version string) error
	}
	versionList interface {
		List() ([]string, error)
	}
	health interface {
		Check(ctx context.Context, statusPort int) error
		Await(ctx context.Context, statusPort int, limit time.Duration) error
	}
	leading interface {
		Led(ctx context.Context) (string, error)
		Lead(ctx context.Context, to plan.Leading) error
	}
	admin interface {
		Drain(ctx context.Context, adminPort int) error
		Connections(ctx context.Context, adminPort int) (int, error)
	}
)

// Host is one machine. Its methods are not to be called at the same time.
type Host struct {
	options Options
	tree    *file.Tree
	owners  file.Owners
	ledger  *ledger.Ledger
	// files is told of each change that this package makes itself.
	files atomicfile.Writer

	users        users
	unitStates   unitStates
	unitControl  unitControl
	trafficState trafficState
	trafficRules trafficRules
	lookups      lookups
	versions     versionFiles
	versionList  versionList
	health       health
	leading      leading
	admin        admin
	// uptime is that of the host.
	uptime      func() time.Duration
	addresses   *address.Lister
	connections func(uid int, port uint16) ([]socket.Connection, error)
	end         func(socket.Connection) error
	detour      interface {
		Clear(ctx context.Context) error
	}
	// connectionsStay: the kernel cannot end connections.
	connectionsStay bool
	address         func(ctx context.Context) (string, error)
	log             *slog.Logger
}

// LedgerFile is where the ledger is.
const LedgerFile = plan.StateDirectory + "/state/ledger.json"

// New returns this machine. It does no I/O.
func New(options Options) *Host {
	return assemble(options, file.Kernel{}, atomicfile.Writer{Before: options.Before})
}

// assemble returns a machine whose files are owned and written by these two.
func assemble(options Options, owners file.Owners, files atomicfile.Writer) *Host {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	at := func(path string) string { return filepath.Join("/", options.Root, path) }
	runner := command.Exec{}
	systemd := unit.New(runner, at("/proc"))
	traffic := interception.New(interception.Options{
		Runner: runner, Directory: at(plan.RunProxyDirectory), Files: files, Delay: options.InterceptionDelay,
	})
	versions := proxy.New(at(plan.VersionsDirectory), options.Artifacts, files)
	h := &Host{
		options: options, owners: owners, files: files, log: options.Log,
		tree:         file.New(options.Root, owners, files),
		ledger:       ledger.New(at(LedgerFile), files),
		users:        account.New(runner, at("/etc/passwd"), at("/etc/group")),
		unitStates:   systemd,
		unitControl:  systemd,
		trafficState: traffic,
		trafficRules: traffic,
		lookups:      resolver.New(runner, linkExists),
		versions:     versions,
		versionList:  versions,
		health:       proxy.NewHealth(),
		leading:      traffic,
		admin:        proxy.NewAdmin(),
		uptime:       uptime,
		addresses:    address.NewLister(options.Manager),
		connections:  socket.Connections,
		end:          socket.Connection.End,
		detour:       detour.New(runner),
	}
	h.address = h.ownAddress
	return h
}

func linkExists(name string) bool {
	_, err := os.Stat(filepath.Join("/sys/class/net", name))
	return err == nil
}
