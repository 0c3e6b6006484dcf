package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// columns that help is written for.
const columns = 80

// usage writes how a command is used, as cobra does, but no wider than a terminal. Setting cobra's template for it would link
// a template engine into the agent, and with it every method that nobody calls: 2 MB.
func usage(c *cobra.Command) error {
	out := c.OutOrStderr()
	var text strings.Builder
	text.WriteString("Usage:")
	if c.Runnable() {
		fmt.Fprintf(&text, "\n  %s", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&text, "\n  %s [command]", c.CommandPath())
	}
	if c.HasExample() {
		fmt.Fprintf(&text, "\n\nExamples:\n%s", c.Example)
	}
	if c.HasAvailableSubCommands() {
		text.WriteString("\n\nAvailable Commands:")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				fmt.Fprintf(&text, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	writeFlags(&text, "Flags", c.LocalFlags())
	writeFlags(&text, "Global Flags", c.InheritedFlags())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&text, "\n\nUse \"%s [command] --help\" for more information about a command.", c.CommandPath())
	}
	_, err := io.WriteString(out, text.String()+"\n")
	return err
}

func writeFlags(text *strings.Builder, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(text, "\n\n%s:\n%s", title, strings.TrimRight(flags.FlagUsagesWrapped(columns), " \n"))
	}
}
