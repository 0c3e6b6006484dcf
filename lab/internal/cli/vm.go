package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
	"github.com/hawser-io/hawser/lab/internal/setup"
)

// Hidden commands that work on machines from within the sandbox.
const (
	machineExecCommand = "machine-exec"
	machineCopyCommand = "machine-copy"
)

func (a *app) vmCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vm", Short: "Make, run and remove machines"}
	cmd.AddCommand(
		a.vmAddCommand(), a.vmListCommand(), a.vmExecCommand(), a.vmCopyCommand(), a.vmMemoryCommand(),
		&cobra.Command{
			Use: "rm NAME", Short: "Power a machine off and delete its disk", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.client.Call(cmd.Context(), "DELETE", machinePath(args[0], ""), nil)
			},
		},
		a.vmPowerCommand("stop", "Shut a machine down; it stays off until it is started"),
		a.vmPowerCommand("start", "Boot a machine and wait until it is ready"),
		a.vmPowerCommand("reboot", "Have a machine reboot and wait until it is ready again"),
	)
	return cmd
}

// machinePath is a machine's place in the API.
func machinePath(name, verb string) string {
	path := "/v1/machines/" + url.PathEscape(name)
	if verb != "" {
		path += "/" + verb
	}
	return path
}

func (a *app) vmAddCommand() *cobra.Command {
	var resolved bool
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make a machine, boot it, and wait until it is ready", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.machineCall(cmd.Context(), "PUT", machinePath(args[0], "")+fmt.Sprintf("?resolved=%t", resolved))
		},
	}
	cmd.Flags().BoolVar(&resolved, "resolved", false, "give it systemd-resolved")
	return cmd
}

func (a *app) vmPowerCommand(verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.machineCall(cmd.Context(), "POST", machinePath(args[0], verb))
		},
	}
}

// machineCall makes a request whose answer is one machine, and prints that.
func (a *app) machineCall(ctx context.Context, method, path string) error {
	var status machine.Status
	if err := a.client.Call(ctx, method, path, &status); err != nil {
		return err
	}
	if a.output == "json" {
		return json.NewEncoder(a.out).Encode(status)
	}
	return a.printMachines([]machine.Status{status})
}

func (a *app) vmListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List machines", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []machine.Status
			if err := a.client.Call(cmd.Context(), "GET", "/v1/machines", &all); err != nil {
				return err
			}
			if a.output == "json" {
				return json.NewEncoder(a.out).Encode(all)
			}
			return a.printMachines(all)
		},
	}
}

func (a *app) printMachines(all []machine.Status) error {
	table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MACHINE\tADDRESS\tSTATE\tBOOTS\tMESSAGE")
	for _, status := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", status.Name, status.Address, status.State, status.Boot, status.Message)
	}
	return table.Flush()
}

func (a *app) vmExecCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "exec NAME -- CMD…",
		Short: "Run a command as root on a machine; its exit status becomes this one's",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.becomeInside(append([]string{machineExecCommand, args[0], "--"}, args[1:]...)...)
		},
	}
}

func (a *app) vmCopyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cp SRC NAME:DST",
		Short: "Copy a file or a folder to a machine, owned by root",
		Args:  cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			name, target, ok := strings.Cut(args[1], ":")
			if !ok {
				return fmt.Errorf("the target %q must be NAME:PATH", args[1])
			}
			source, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return a.becomeInside(machineCopyCommand, source, name, target)
		},
	}
}

// becomeInside replaces this process by a command of this program that runs in the sandbox. It returns only with an error.
func (a *app) becomeInside(args ...string) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	return sandbox.Become(a.layout, append([]string{own}, args...)...)
}

// insideMachineCommands are the other halves of exec and cp.
func (a *app) insideMachineCommands() []*cobra.Command {
	store := machine.NewStore(setup.MachineDir(a.layout))
	return []*cobra.Command{
		{
			Use: machineExecCommand, Hidden: true, Args: cobra.MinimumNArgs(2),
			RunE: func(_ *cobra.Command, args []string) error {
				argv, err := store.Argv(args[0], os.Getenv("TERM"), args[1:]...)
				if err != nil {
					return err
				}
				return sandbox.Exec(argv)
			},
		},
		{
			Use: machineCopyCommand, Hidden: true, Args: cobra.ExactArgs(3),
			RunE: func(cmd *cobra.Command, args []string) error {
				return store.Copy(cmd.Context(), args[0], args[1], args[2])
			},
		},
	}
}
