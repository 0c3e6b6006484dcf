package manager

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"google.golang.org/grpc"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	runtimemanager "sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/manager/admission"
	"github.com/hawser-io/hawser/internal/manager/bundle"
	"github.com/hawser-io/hawser/internal/manager/ca"
	"github.com/hawser-io/hawser/internal/manager/caller"
	"github.com/hawser-io/hawser/internal/manager/confine"
	"github.com/hawser-io/hawser/internal/manager/enroll"
	"github.com/hawser-io/hawser/internal/manager/facts"
	"github.com/hawser-io/hawser/internal/manager/istiotoken"
	"github.com/hawser-io/hawser/internal/manager/publish"
	"github.com/hawser-io/hawser/internal/manager/record"
	"github.com/hawser-io/hawser/internal/manager/watch"
	"github.com/hawser-io/hawser/internal/version"
)

// stopPatience is longer than a drain: the parts that others need stop after it.
const stopPatience = drainPatience + 5*time.Second

// leaseName is the Lease by which replicas agree on a leader.
const leaseName = "hawser-manager"

// parts are what a manager is made of.
type parts struct {
	Options
	manager  ctrl.Manager
	clients  kubernetes.Interface
	objects  objects
	store    *bundle.Store
	source   *watch.Source
	minter   *istiotoken.Minter
	hub      *publish.Hub
	metrics  *metrics
	recorder *record.Recorder
	frontend *frontend
	leader   *leader
}

// Run runs a manager until ctx ends.
func Run(ctx context.Context, options Options) error {
	if err := options.validate(); err != nil {
		return err
	}
	limitHeap()
	p, err := assemble(options)
	if err != nil {
		return err
	}
	defer p.store.Close()
	if err := p.start(ctx); err != nil {
		return err
	}
	options.Logger.Info("manager starts", "version", version.Get().Version, "pod", options.Pod, "namespace", options.Namespace)
	if err := p.manager.Start(ctx); err != nil {
		return fmt.Errorf("run the manager: %w", err)
	}
	return nil
}

// assemble makes the parts; nothing runs yet.
func assemble(options Options) (*parts, error) {
	p := &parts{Options: options, store: bundle.NewStore(options.CacheDir, bundle.Options{PlainHTTP: options.PlainHTTP, Logger: options.Logger}), hub: publish.NewHub()}
	// The API server has its own fairness; a client's limit of 20 calls a second would be a machine's delay.
	config := rest.CopyConfig(options.Config)
	config.QPS, config.Burst = -1, -1
	config.UserAgent = "hawser-manager/" + version.Get().Version
	watching := watch.Options{
		IstioNamespace: options.IstioNamespace, ClusterDomain: options.ClusterDomain, GatewaySelector: options.GatewaySelector,
		Proxies: p.store, Logger: options.Logger,
	}
	var err error
	if p.manager, err = newManager(config, options, watching); err != nil {
		return nil, err
	}
	if p.clients, err = kubernetes.NewForConfig(config); err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	if p.source, err = watch.NewSource(p.manager.GetCache(), watching); err != nil {
		return nil, err
	}
	if p.metrics, err = newMetrics(p.hub); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	p.leader = &leader{
		lock: &resourcelock.LeaseLock{
			LeaseMeta: meta.ObjectMeta{Namespace: options.Namespace, Name: leaseName}, Client: p.clients.CoordinationV1(),
			// A Pod that is made anew may have its predecessor's name.
			LockConfig: resourcelock.ResourceLockConfig{Identity: options.Pod + "_" + rand.Text()},
		},
		logger: options.Logger,
	}
	p.metrics.Machines(p.listMachines, p.leader.Leads)
	p.objects = objects{reader: p.manager.GetAPIReader(), writer: p.manager.GetClient()}
	p.minter = istiotoken.NewMinter(p.clients.CoreV1(), p.objects)
	p.recorder = record.New(record.Options{
		Cached: p.manager.GetCache(), Live: p.manager.GetAPIReader(),
		Writer: p.metrics.Writer(p.manager.GetClient()), Status: p.metrics.StatusWriter(p.manager.GetClient().Status()),
		Events: p.manager.GetEventRecorder("hawser-manager"), Tokens: p.minter, Facts: p.source.Facts, Changed: p.source.Changed,
		Pod: options.Pod, Now: time.Now, Logger: options.Logger,
	})
	p.frontend = &frontend{
		address: options.GRPCAddress, listener: options.Listener, synced: p.source.Synced(), changed: p.metrics.Changed(p.source.Changed),
		hub: p.hub, server: p.server, logger: options.Logger,
	}
	return p, nil
}

func newManager(config *rest.Config, options Options, watching watch.Options) (ctrl.Manager, error) {
	scheme, err := newScheme()
	if err != nil {
		return nil, fmt.Errorf("register the kinds: %w", err)
	}
	caching, err := cacheOptions(options, watching)
	if err != nil {
		return nil, err
	}
	patience := stopPatience
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   caching,
		GracefulShutdownTimeout: &patience,
		HealthProbeBindAddress:  options.HealthAddress,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager of the API server's objects: %w", err)
	}
	return manager, nil
}

// start adds what runs. controller-runtime starts caches first, then what needs no leader, then what does, and stops in the opposite order:
// while machines are sent away, facts and objects can still be read.
func (p *parts) start(ctx context.Context) error {
	if err := p.manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := p.manager.AddReadyzCheck("machines", p.frontend.Ready); err != nil {
		return err
	}
	wake, err := p.listen(ctx)
	if err != nil {
		return err
	}
	reaper := record.NewReaper(p.recorder, record.Cluster{Machines: p.listMachines, Managers: p.listReplicas, Ending: p.listEnding}, wake)
	heir := record.NewHeir(p.recorder, p.listMachines)
	confining := confine.New(p.source, p.manager.GetCache(), p.manager.GetClient(), p.Logger)
	announcing := &announcer{
		source: p.source, configMaps: p.clients.CoreV1().ConfigMaps(p.Namespace), authority: p.authority,
		version: version.Get().Version, logger: p.Logger,
	}
	p.leader.parts = []func(context.Context) error{confining.Run, reaper.Run, announcing.Run}
	runnables := []runtimemanager.Runnable{p.source, p.recorder, p.frontend, heir, p.leader, newMemory()}
	if p.MetricsAddress != "0" {
		runnables = append(runnables, p.metrics.server(p.MetricsAddress))
	}
	for _, r := range runnables {
		if err := p.manager.Add(r); err != nil {
			return fmt.Errorf("add a part to the manager: %w", err)
		}
	}
	return nil
}

func (p *parts) authority(ctx context.Context) (*ca.Authority, error) {
	return ca.LoadOrCreate(ctx, p.clients.CoreV1().Secrets(p.Namespace), time.Now())
}

// server makes the gRPC server with both services.
func (p *parts) server(ctx context.Context) (*grpc.Server, error) {
	authority, err := p.authority(ctx)
	if err != nil {
		return nil, err
	}
	admissions := admission.NewKeeper(p.clients.CoreV1().ConfigMaps(p.Namespace), time.Now)
	if err := admissions.Ensure(ctx); err != nil {
		return nil, err
	}
	callers := caller.NewChecker(p.source.Facts, p.objects, p.readmitter(admissions), time.Now)
	server := publish.NewServer(ca.NewServing(authority).Config())
	hawserv1.RegisterEnrollmentServiceServer(server, enroll.NewService(enroll.Options{
		Authority: authority, Facts: p.source.Facts, Proxies: p.store, Tokens: p.objects, Machines: p.objects, Groups: p.objects, Callers: callers,
		Admissions: admissions, IstioTokens: p.minter, Now: time.Now, Logger: p.Logger, Version: version.Get().Version, Observe: p.metrics.enrolled,
	}))
	hawserv1.RegisterMachineServiceServer(server, p.metrics.Service(publish.NewService(publish.Options{
		Hub: p.hub, Facts: p.source.Facts, Callers: callers, Tokens: p.minter, Remove: p.recorder.Remove,
		OpenFile: func(sha256 string) (publish.File, error) { return p.store.Open(sha256) },
		Open:     func(session record.Session) publish.Record { return p.recorder.Open(session) },
		Cloned: func(ctx context.Context, machine facts.Machine, hello *hawserv1.Hello) {
			p.recorder.Cloned(ctx, machine, hello.GetInstance(), hello.GetHost())
		},
		Elsewhere: func(ctx context.Context, machine facts.Machine, hello *hawserv1.Hello) *publish.Rival {
			if address, there := p.recorder.Elsewhere(ctx, machine, hello.GetInstance(), hello.GetHost().GetBootId()); there {
				return &publish.Rival{Address: address}
			}
			return nil
		},
		Now: time.Now, Logger: p.Logger, Version: version.Get().Version, Meter: p.metrics.meter(),
	})))
	return server, nil
}

// readmitter takes machines back that a restore of the cluster's state has forgotten.
func (p *parts) readmitter(admissions *admission.Keeper) *admission.Readmitter {
	return admission.NewReadmitter(admission.Options{
		Keeper: admissions, Machines: p.objects, GroupExists: p.objects.GroupExists, Tokens: p.minter, Facts: watch.MachineOf,
		Events: p.manager.GetEventRecorder("hawser-manager"), Logger: p.Logger,
	})
}
