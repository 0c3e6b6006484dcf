package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Main runs the program's command line and returns its exit code.
func Main(args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	root := &cobra.Command{
		Use: "hawser-demo-app", Short: "Any service of the demonstration application",
		SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(serveCommand(), linesCommand(), loadCommand(), getCommand())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(errOut, "hawser-demo-app:", err)
		return 1
	}
	return 0
}

func serveCommand() *cobra.Command {
	s := &service{client: newHTTPClient()}
	var listen string
	var drain time.Duration
	var failHealth bool
	cmd := &cobra.Command{
		Use: "serve", Short: "An HTTP service that says who it is, who asks, and what the service behind it says", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if s.app == "" {
				return errors.New("name the service with --app")
			}
			if s.host, err = os.Hostname(); err != nil {
				return err
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			s.healthy.Store(!failHealth)
			return serveHTTP(cmd.Context(), listener, s.handler(), drain, func() { s.healthy.Store(false) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&s.app, "app", "", "name of the service")
	flags.StringVar(&s.version, "version", "v1", "version that the service says it is")
	flags.StringVar(&s.upstream, "upstream", "", "URL to ask for each request of /")
	flags.StringVar(&s.call, "call", "", "URL to ask for each request of /call")
	flags.StringVar(&listen, "listen", ":9080", "address to listen at")
	flags.DurationVar(&drain, "drain", 2*time.Second, "how long to go on, unhealthy, after SIGTERM")
	flags.BoolVar(&failHealth, "fail-health", false, "start unhealthy, until POST /admin/health?ok=true")
	return cmd
}

func linesCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use: "lines", Short: "A TCP service that answers each line with the name of its host", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			host, err := os.Hostname()
			if err != nil {
				return err
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			return serveLines(cmd.Context(), listener, host)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", ":7001", "address to listen at")
	return cmd
}

func loadCommand() *cobra.Command {
	var target, listen string
	var rate float64
	var whileInput, newConnections bool
	cmd := &cobra.Command{
		Use: "load", Short: "A steady flow of requests, counted at /stats", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if target == "" {
				return errors.New("name the URL to request with --target")
			}
			if rate <= 0 || rate > 10000 {
				return errors.New("the rate must be above 0 and at most 10000 requests a second")
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			g := &generator{
				target: target, interval: time.Duration(float64(time.Second) / rate), client: newHTTPClient(),
				stats: Stats{Since: time.Now().UTC()},
			}
			if newConnections {
				g.client.Transport.(*http.Transport).DisableKeepAlives = true
			}
			if whileInput {
				g.latencies = []float64{}
				return g.generateWhile(cmd.Context(), listener, cmd.InOrStdin(), cmd.OutOrStdout())
			}
			return g.generate(cmd.Context(), listener, slog.New(slog.NewTextHandler(cmd.OutOrStdout(), nil)))
		},
	}
	cmd.Flags().StringVar(&target, "target", "", "URL to request")
	cmd.Flags().Float64Var(&rate, "rate", 10, "requests a second")
	cmd.Flags().StringVar(&listen, "listen", ":9080", "address of /stats and /healthz")
	cmd.Flags().BoolVar(&newConnections, "new-connections", false, "make a connection for each request")
	cmd.Flags().BoolVar(&whileInput, "while-input", false, "end with standard input, and print the counters then")
	return cmd
}

// generate runs the requests and the counters' server side by side; the first that fails ends the other.
func (g *generator) generate(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- serveHTTP(ctx, listener, g.handler(), 0, func() {})
	}()
	return errors.Join(g.run(ctx, log), <-served)
}

// generateWhile generates until the input ends, so that a generator in a pod does not outlive who started it there, and prints the counters.
func (g *generator) generateWhile(ctx context.Context, listener net.Listener, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		// Whatever ends it, it has ended.
		_, _ = io.Copy(io.Discard, in)
	}()
	err := g.generate(ctx, listener, slog.New(slog.DiscardHandler))
	return errors.Join(err, json.NewEncoder(out).Encode(g.snapshot()))
}

func getCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "get URL", Short: "Print what a URL answers (http://HOST:PORT/PATH, or tcp://HOST:PORT for one line)", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return fetch(ctx, newHTTPClient(), args[0], cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for the answer")
	return cmd
}
