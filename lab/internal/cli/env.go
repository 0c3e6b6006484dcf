package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/build"
)

// kubeconfig is the path of the administrator's kubeconfig.
func (a *app) kubeconfig() string { return filepath.Join(a.layout.StateDir, "kubeconfig") }

func (a *app) kubeconfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of the kubeconfig",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := os.Stat(a.kubeconfig()); err != nil {
				return fmt.Errorf("there is no kubeconfig yet: %w; start the lab with `hawser-lab up`", err)
			}
			fmt.Fprintln(a.out, a.kubeconfig())
			return nil
		},
	}
}

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print shell exports: eval \"$(hawser-lab env)\" gives kubectl and helm for the lab",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			dir := a.toolsDir()
			if _, err := os.Stat(filepath.Join(dir, "kubectl")); err != nil {
				return fmt.Errorf("kubectl is not built yet: %w; start the lab with `hawser-lab up`", err)
			}
			fmt.Fprintf(a.out, "export KUBECONFIG=%s\nexport PATH=%s:\"$PATH\"\n", a.kubeconfig(), dir)
			return nil
		},
	}
}

func (a *app) toolsDir() string { return filepath.Join(a.layout.StateDir, "bin") }

// linkTools gives kubectl and helm of the lab's own versions their names.
func (a *app) linkTools(artifacts build.Artifacts) error {
	if err := os.MkdirAll(a.toolsDir(), 0o755); err != nil {
		return err
	}
	for name, target := range map[string]string{"kubectl": artifacts.Kube, "helm": artifacts.Helm} {
		link := filepath.Join(a.toolsDir(), name)
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, link); err != nil {
			return err
		}
	}
	return nil
}
