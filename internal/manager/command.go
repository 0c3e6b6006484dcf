package manager

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hawser-io/hawser/internal/manager/record"
	"github.com/hawser-io/hawser/internal/version"
)

// Main runs the command with the process's arguments and returns its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := Command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "hawser-manager:", err)
		return 1
	}
	return 0
}

// Command is the command hawser-manager.
func Command() *cobra.Command {
	var options Options
	var kubeconfig string
	level := slog.LevelInfo
	command := &cobra.Command{
		Use:           "hawser-manager",
		Short:         "Makes machines members of an Istio mesh, and keeps them so.",
		Args:          cobra.NoArgs,
		Version:       version.Get().Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, _ []string) error {
			options.Logger = slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			logThrough(options.Logger)
			var err error
			if options.Config, err = clusterConfig(kubeconfig); err != nil {
				return err
			}
			return Run(command.Context(), options)
		},
	}
	flags := command.Flags()
	flags.StringVar(&kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "file to reach the cluster by; empty in a Pod")
	flags.StringVar(&options.Namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the manager")
	flags.StringVar(&options.Pod, "pod-name", os.Getenv("POD_NAME"), "name of this replica's Pod")
	flags.StringVar(&options.Service, "service", "hawser-manager", "Service that leads to all replicas")
	flags.StringVar(&options.IstioNamespace, "istio-namespace", "istio-system", "namespace of istiod")
	flags.StringVar(&options.ClusterDomain, "cluster-domain", "cluster.local", "DNS suffix of the cluster's services")
	flags.StringVar(&options.GatewaySelector, "gateway-selector", "istio=eastwestgateway", "labels of the mesh-expansion gateways' Services")
	flags.StringVar(&options.CacheDir, "cache-dir", "/var/cache/hawser", "folder for the proxies' files; it must hold nothing else")
	flags.BoolVar(&options.PlainHTTP, "plain-http-registry", false, "allow image registries without TLS")
	flags.StringVar(&options.GRPCAddress, "grpc-address", ":8443", "where machines connect to")
	flags.StringVar(&options.HealthAddress, "health-address", ":8081", "where /healthz and /readyz are served; 0 for nowhere")
	flags.StringVar(&options.MetricsAddress, "metrics-address", ":9090", "where /metrics is served; 0 for nowhere")
	flags.TextVar(&level, "log-level", &level, "debug, info, warn or error")
	command.AddCommand(releaseCommand())
	return command
}

// releaseCommand is for the end of a cluster's last manager; the chart runs it when it is uninstalled.
func releaseCommand() *cobra.Command {
	var kubeconfig string
	command := &cobra.Command{
		Use:   "release",
		Short: "Lets Machines be deleted although no manager is there, and keeps them.",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			config, err := clusterConfig(kubeconfig)
			if err != nil {
				return err
			}
			scheme, err := newScheme()
			if err != nil {
				return err
			}
			api, err := client.New(config, client.Options{Scheme: scheme})
			if err != nil {
				return fmt.Errorf("make a client of the API server: %w", err)
			}
			released, err := record.ReleaseAll(command.Context(), api)
			if err != nil {
				return fmt.Errorf("%w; run it again", err)
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), "machines released:", released)
			return err
		},
	}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "file to reach the cluster by; empty in a Pod")
	return command
}

func clusterConfig(kubeconfig string) (*rest.Config, error) {
	var config *rest.Config
	var err error
	if kubeconfig == "" {
		config, err = rest.InClusterConfig()
	} else {
		config, err = clientcmd.BuildConfigFromFlags("", kubeconfig)
	}
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w; outside of a Pod name a file with --kubeconfig", err)
	}
	return config, nil
}

// logThrough makes the libraries' own log lines go the same way.
func logThrough(logger *slog.Logger) {
	ctrl.SetLogger(logr.FromSlogHandler(logger.Handler()))
	klog.SetSlogLogger(logger)
}
