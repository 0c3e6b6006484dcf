package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/api"
	"github.com/hawser-io/hawser/lab/internal/build"
)

func (a *app) istioCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "istio", Short: "Change the mesh itself: its roots, its control planes and their tags"}
	cmd.AddCommand(a.istioRootCommand(), a.istioInstallCommand(), a.istioRemoveCommand(), a.istioListCommand(), a.istioTagCommand())
	return cmd
}

func (a *app) istioRootCommand() *cobra.Command {
	root := &cobra.Command{Use: "root", Short: "Rotate the mesh's root certificate: add, use, drop, each when all proxies have taken the step before"}
	for _, step := range []struct{ verb, short string }{
		{"add", "Add a root that all trust and that does not sign yet"},
		{"use", "Have istiod sign by the root that was added"},
		{"drop", "End the trust in the former root"},
	} {
		root.AddCommand(&cobra.Command{
			Use: step.verb, Short: step.short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return a.client.Call(cmd.Context(), "POST", "/v1/istio/root/"+step.verb, nil)
			},
		})
	}
	return root
}

func (a *app) istioInstallCommand() *cobra.Command {
	known := build.IstioVersions()
	tag := known[0].Tag
	cmd := &cobra.Command{
		Use:   "install REVISION",
		Short: "Install a control plane as a revision beside the others, or give one another version; " + api.DefaultRevision + " is the one without a name",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.IndexFunc(known, func(version build.IstioVersion) bool { return version.Tag == tag })
			if i < 0 {
				return fmt.Errorf("--version %s: this lab can build %s", tag, versions(known))
			}
			cache, source, err := builder()
			if err != nil {
				return err
			}
			lines := newLines(a.errOut)
			istio, err := cache.Istio(cmd.Context(), source, known[i], lines.print)
			if err != nil {
				return err
			}
			lines.print("install revision " + args[0])
			return a.client.Send(cmd.Context(), "PUT", revisionPath(args[0]), istio, nil)
		},
	}
	cmd.Flags().StringVar(&tag, "version", tag, "version of Istio: "+versions(known))
	return cmd
}

func versions(known []build.IstioVersion) string {
	var tags []string
	for _, version := range known {
		tags = append(tags, version.Tag)
	}
	return strings.Join(tags, ", ")
}

func revisionPath(revision string) string { return "/v1/istio/revisions/" + url.PathEscape(revision) }

func (a *app) istioRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove REVISION", Short: "Take a control plane away, with the tags that stand for it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.client.Call(cmd.Context(), "DELETE", revisionPath(args[0]), nil)
		},
	}
}

func (a *app) istioListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List control planes", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []api.IstioRevision
			if err := a.client.Call(cmd.Context(), "GET", "/v1/istio/revisions", &all); err != nil {
				return err
			}
			if a.output == "json" {
				return json.NewEncoder(a.out).Encode(all)
			}
			table := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(table, "REVISION\tVERSION\tTAGS")
			for _, revision := range all {
				fmt.Fprintf(table, "%s\t%s\t%s\n", revision.Name, revision.Version, strings.Join(revision.Tags, ", "))
			}
			return table.Flush()
		},
	}
}

func (a *app) istioTagCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tag", Short: "Have a revision tag stand for a control plane, or for none"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "set TAG REVISION", Short: "Have a tag stand for a revision, and for no other one", Args: cobra.ExactArgs(2),
			RunE: func(cmd *cobra.Command, args []string) error {
				if args[0] == "" {
					return errors.New("a tag must have a name")
				}
				return a.client.Call(cmd.Context(), "PUT", tagPath(args[0])+"?revision="+url.QueryEscape(args[1]), nil)
			},
		},
		&cobra.Command{
			Use: "remove TAG", Short: "Have a tag stand for nothing", Args: cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.client.Call(cmd.Context(), "DELETE", tagPath(args[0]), nil)
			},
		})
	return cmd
}

func tagPath(tag string) string { return "/v1/istio/tags/" + url.PathEscape(tag) }
