// Package ctl holds the commands of the command line hawser. They work over the Kubernetes API with the rights of whoever calls
// them: what is typed comes in, tables, objects and commands to run go out. Results go to stdout, everything else to stderr. It must
// not know the manager's or the agent's code.
package ctl

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/hawser-io/hawser/internal/ctl/cluster"
	"github.com/hawser-io/hawser/internal/ctl/problem"
	"github.com/hawser-io/hawser/internal/ctl/table"
)

// Main runs the command line of this process until it is done or interrupted, and returns its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streams := genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}
	return Run(ctx, os.Args[1:], streams)
}

// Run runs the arguments and returns the exit code: 0, or 1 after an error, which is told on the error stream.
func Run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	root := New(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	problem.Print(streams.ErrOut, err)
	return 1
}

// tool is what all commands share.
type tool struct {
	genericiooptions.IOStreams
	kube *genericclioptions.ConfigFlags
	// managerNamespace is where the manager runs.
	managerNamespace string
	now              func() time.Time
}

// New returns the root command.
func New(streams genericiooptions.IOStreams) *cobra.Command {
	t := &tool{IOStreams: streams, kube: genericclioptions.NewConfigFlags(true), now: time.Now}
	// The cache is for discovery, which is not used.
	t.kube.CacheDir = nil
	root := parent("hawser", "Machines in an Istio mesh", t.getCommand(), t.describeCommand(), t.tokenCommand(), t.revokeCommand(), t.versionCommand())
	root.Long = "hawser shows the virtual machines and bare-metal hosts in an Istio mesh, and lets further ones in.\n\n" +
		"It works over the Kubernetes API with your own kubeconfig and your own rights, as kubectl does."
	root.SilenceErrors, root.SilenceUsage, root.DisableAutoGenTag = true, true, true
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages ", "FlagUsagesWrapped 80 "))
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	t.kube.AddFlags(root.PersistentFlags())
	root.PersistentFlags().StringVar(&t.managerNamespace, "manager-namespace", "hawser-system", "namespace that the manager is installed in")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage(c, err) })
	t.completeNamespaces(root)
	return root
}

// connect returns the cluster and namespace that the flags and the kubeconfig say.
func (t *tool) connect() (*cluster.Cluster, string, error) {
	if err := t.configured(); err != nil {
		return nil, "", err
	}
	namespace, _, err := t.kube.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, "", configuration(err)
	}
	config, err := t.kube.ToRESTConfig()
	if err != nil {
		return nil, "", configuration(err)
	}
	c, err := cluster.New(config)
	if err != nil {
		return nil, "", configuration(err)
	}
	return c, namespace, nil
}

// configured refuses the client's last resort, a cluster on localhost that nobody has named.
func (t *tool) configured() error {
	raw, err := t.kube.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return configuration(err)
	}
	if len(raw.Clusters) == 0 && *t.kube.APIServer == "" && *t.kube.Context == "" && os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return configuration(clientcmd.ErrEmptyConfig)
	}
	return nil
}

func configuration(err error) error {
	if p := problem.Connection(err); p != nil {
		p.Cause = err
		return p
	}
	return &problem.Problem{What: err.Error(), Next: "kubectl config view", Cause: err}
}

func (t *tool) coloured() bool { return table.Coloured(t.Out, os.Getenv) }

// usage is a mistake in what was typed.
func usage(c *cobra.Command, err error) error {
	return &problem.Problem{What: err.Error(), Next: c.CommandPath() + " --help", Cause: err}
}

// arguments refuses a wrong number of arguments and says how the command is used. what names the arguments, in the singular.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return problem.New(c.CommandPath()+" --help", "%s wants the name of a %s", c.CommandPath(), what)
		case len(args) > most:
			return problem.New(c.CommandPath()+" --help", "%s does not know what to do with %q", c.CommandPath(), args[most])
		}
		return nil
	}
}

// parent makes a command that only has others below it.
func parent(use, short string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, SuggestionsMinimumDistance: 2, Args: func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			next := c.CommandPath() + " --help"
			if like := c.SuggestionsFor(args[0]); len(like) > 0 {
				next = c.CommandPath() + " " + like[0]
			}
			return problem.New(next, "%s does not know %q", c.CommandPath(), args[0])
		}
		return nil
	}, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(children...)
	return c
}
