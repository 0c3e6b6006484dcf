package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/agent/dial"
	"github.com/hawser-io/hawser/internal/agent/host"
	"github.com/hawser-io/hawser/internal/agent/join"
	"github.com/hawser-io/hawser/internal/agent/local"
	"github.com/hawser-io/hawser/internal/agent/progress"
	"github.com/hawser-io/hawser/internal/agent/store"
	"github.com/hawser-io/hawser/internal/identity"
	"github.com/hawser-io/hawser/internal/jointoken"
)

type joinFlags struct {
	manager, token, tokenFile, hostname string
	timeout                             time.Duration
}

func (p *Program) joinCommand() *cobra.Command {
	var flags joinFlags
	command := &cobra.Command{
		Use: "join --manager HOST[:PORT] {--token-file FILE | --token TOKEN}", DisableFlagsInUseLine: true,
		Short: "Make this machine a member of the mesh",
		Long: `Make this machine a member of the mesh.

The line to run is printed by 'hawser token create --group NAMESPACE/GROUP'. The
host is checked before anything on it is touched. A join that was cut off is
finished by running it again.`,
		Example: `  echo hawser_… | hawser-agent join --manager gateway.example --token-file -
  hawser-agent join --manager gateway.example --token-file /root/token`,
		Args: cobra.NoArgs,
		RunE: ran(func(ctx context.Context, _ []string) error { return p.join(ctx, flags) }),
	}
	command.Flags().StringVar(&flags.manager, "manager", "", "HOST[:PORT] of the gateway that the manager is behind (port "+dial.DefaultPort+")")
	command.Flags().StringVar(&flags.token, "token", "", "the join token; other users see it in the list of processes, unlike that of --token-file")
	command.Flags().StringVar(&flags.tokenFile, "token-file", "", "file with the join token, - for standard input")
	command.Flags().StringVar(&flags.hostname, "hostname", "", "name of the machine, if it is not to be this host's")
	command.Flags().DurationVar(&flags.timeout, "timeout", 2*time.Minute, "how long the join may take until the machine is ready")
	return command
}

func (p *Program) join(ctx context.Context, flags joinFlags) error {
	request, err := p.joinRequest(flags)
	if err != nil {
		return err
	}
	unlock, err := lock(p.Lock)
	if err != nil {
		return err
	}
	defer unlock()
	interrupted, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(interrupted, flags.timeout)
	defer cancel()

	p.say("Joining the mesh by the manager at %s\n\n", request.Manager)
	began, printer := time.Now(), progress.New(p.Stdout, p.coloured())
	joiner := &join.Joiner{
		Store: store.New(p.State), Host: checked{p}, Enroller: join.Manager{}, Service: p.Service,
		Agent: local.NewClient(p.Socket), Progress: printer,
	}
	status, err := joiner.Run(ctx, request)
	if err != nil {
		printer.Close()
		if interrupted.Err() != nil && !errors.As(err, new(*join.NotReady)) {
			return errors.New("interrupted: the same command goes on from here, `hawser-agent leave` undoes what is done")
		}
		return err
	}
	machine := status.Machine
	p.say("\n%s/%s is a member of the mesh after %.1f s.\n", machine.Namespace, machine.Name, time.Since(began).Seconds())
	p.say("Next: 'hawser-agent status' here, or 'hawser describe machine %s -n %s' anywhere.\n", machine.Name, machine.Namespace)
	return nil
}

func (p *Program) joinRequest(flags joinFlags) (join.Request, error) {
	request := join.Request{Hostname: flags.hostname}
	if flags.timeout <= 0 {
		return request, &usageError{fmt.Errorf("--timeout %s leaves no time: leave it out for two minutes", flags.timeout)}
	}
	if flags.manager == "" {
		return request, &usageError{errors.New("--manager is missing: `hawser token create` prints the whole line")}
	}
	var err error
	if request.Manager, err = dial.Address(flags.manager); err != nil {
		return request, &usageError{fmt.Errorf("--manager: %w", err)}
	}
	text, err := p.tokenText(flags)
	if err != nil {
		return request, err
	}
	if request.Token, err = jointoken.Parse(text); err != nil {
		return request, &usageError{err}
	}
	if flags.hostname != "" {
		if _, err := identity.MachineName(flags.hostname); err != nil {
			return request, &usageError{fmt.Errorf("--hostname %q cannot name a machine: %w", flags.hostname, err)}
		}
	}
	return request, nil
}

func (p *Program) tokenText(flags joinFlags) (string, error) {
	switch {
	case (flags.token == "") == (flags.tokenFile == ""):
		return "", &usageError{errors.New("give either --token or --token-file: `hawser token create` prints the whole line")}
	case flags.token != "":
		return flags.token, nil
	case flags.tokenFile == "-":
		text, err := readAllLimited(p.Stdin)
		if err != nil {
			return "", fmt.Errorf("read the join token from standard input: %w", err)
		}
		return text, nil
	default:
		file, err := os.Open(flags.tokenFile)
		if err != nil {
			return "", fmt.Errorf("read the join token: %w", err)
		}
		text, err := readAllLimited(file)
		return text, errors.Join(err, file.Close())
	}
}

func (p *Program) say(format string, arguments ...any) {
	// A join goes on when nobody reads what it says.
	_, _ = fmt.Fprintf(p.Stdout, format, arguments...)
}

// host returns the machine without a way to the manager, which is enough to look at it and to put it back.
func (p *Program) host() Host { return p.Host(host.Options{Root: p.Root}) }
