package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/build"
)

func (a *app) buildCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "build", Short: "Build parts of the lab without starting it", Annotations: map[string]string{noRoot: ""}}
	cmd.AddCommand(a.buildKubeCommand())
	return cmd
}

func (a *app) buildKubeCommand() *cobra.Command {
	var env bool
	cmd := &cobra.Command{
		Use:         "kube",
		Short:       "Build Kubernetes and print the folder with etcd, kube-apiserver and kubectl",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{noRoot: ""},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cache, source, err := builder()
			if err != nil {
				return err
			}
			newLines(a.errOut).print("build Kubernetes, if it is not in the cache")
			binary, err := cache.Go(cmd.Context(), source, build.Kubernetes())
			if err != nil {
				return err
			}
			dir := filepath.Dir(binary)
			for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
				if err := os.Symlink(filepath.Base(binary), filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrExist) {
					return err
				}
			}
			if env {
				fmt.Fprintf(a.out, "export KUBEBUILDER_ASSETS=%s\n", dir)
				return nil
			}
			fmt.Fprintln(a.out, dir)
			return nil
		},
	}
	cmd.Flags().BoolVar(&env, "env", false, "print a shell export for controller-runtime's envtest")
	return cmd
}

// builder is what builds parts of the lab: the user's cache, and the source that is built.
func builder() (*build.Cache, build.Source, error) {
	cache, err := build.OpenCache("")
	if err != nil {
		return nil, build.Source{}, err
	}
	source, err := build.FindSource()
	return cache, source, err
}
