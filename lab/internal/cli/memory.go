package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/machine"
)

const mebibyte = 1 << 20

func (a *app) vmMemoryCommand() *cobra.Command {
	var limit int64
	cmd := &cobra.Command{
		Use: "memory NAME", Short: "Show what a machine has of memory, and limit it until its power is off", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			method, path := "GET", machinePath(args[0], "memory")
			if cmd.Flags().Changed("limit") {
				method, path = "POST", fmt.Sprintf("%s?limit=%d", path, limit*mebibyte)
			}
			var memory machine.Memory
			if err := a.client.Call(cmd.Context(), method, path, &memory); err != nil {
				return err
			}
			return a.printMemory(args[0], memory)
		},
	}
	cmd.Flags().Int64Var(&limit, "limit", 0, "give it no more than so many MiB; 0 for as many as there are")
	return cmd
}

func (a *app) printMemory(name string, memory machine.Memory) error {
	if a.output == "json" {
		return json.NewEncoder(a.out).Encode(memory)
	}
	limit := "no limit"
	if memory.Limit > 0 {
		limit = fmt.Sprintf("%d MiB at most", memory.Limit/mebibyte)
	}
	fmt.Fprintf(a.out, "%s uses %d MiB, %s; %d processes were killed for want of memory.\n", name, memory.Used/mebibyte, limit, memory.Killed)
	return nil
}
