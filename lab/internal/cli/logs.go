package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs COMPONENT",
		Short: "Print the log of a component; also of a lab that does not run any more",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.Open(a.layout.Log(filepath.Base(args[0])))
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no component %s; there are: %s", args[0], strings.Join(a.logged(), ", "))
			}
			if err != nil {
				return err
			}
			defer file.Close()
			return copyLog(cmd.Context(), a.out, file, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written later")
	return cmd
}

func (a *app) logged() []string {
	paths, _ := filepath.Glob(a.layout.Log("*")) // the pattern is well-formed
	names := make([]string, 0, len(paths))
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".log"))
	}
	return names
}

// copyLog copies a growing file. Interrupting it is the ordinary end.
func copyLog(ctx context.Context, out io.Writer, file *os.File, follow bool) error {
	for {
		if _, err := io.Copy(out, file); err != nil {
			return err
		}
		if !follow {
			return nil
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}
