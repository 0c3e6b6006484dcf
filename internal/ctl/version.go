package ctl

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/internal/version"
)

// versions is what `version` prints.
type versions struct {
	Client version.Info `json:"client"`
	// Manager is empty where it could not be asked.
	Manager string `json:"manager,omitempty"`
	// Problem says why it could not.
	Problem string `json:"problem,omitempty"`
}

func (t *tool) versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Show the version of this command and of the manager", Args: arguments(0, 0, "")}
	format := addOutput(c, "json", "yaml")
	client := c.Flags().Bool("client", false, "do not ask the cluster")
	c.RunE = func(c *cobra.Command, _ []string) error {
		found := versions{Client: version.Get()}
		if !*client {
			var err error
			if found.Manager, err = t.managerVersion(c.Context()); err != nil {
				found.Problem = err.Error()
			}
		}
		if format.format != "" {
			return format.printValue(t.Out, found)
		}
		fmt.Fprintf(t.Out, "hawser   %s (%s, %s)\n", found.Client.Version, found.Client.Go, found.Client.Platform)
		switch {
		case found.Manager != "":
			fmt.Fprintf(t.Out, "manager  %s\n", found.Manager)
		case found.Problem != "":
			fmt.Fprintf(t.Out, "manager  unknown: %s\n", found.Problem)
		}
		return nil
	}
	return c
}

func (t *tool) managerVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	kube, _, err := t.connect()
	if err != nil {
		return "", err
	}
	info, err := readInfo(ctx, kube, t.managerNamespace)
	if err != nil {
		return "", err
	}
	return info.version, nil
}
