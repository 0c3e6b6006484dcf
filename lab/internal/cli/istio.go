package cli

import "github.com/spf13/cobra"

func (a *app) istioCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "istio", Short: "Change the mesh itself"}
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
	cmd.AddCommand(root)
	return cmd
}
