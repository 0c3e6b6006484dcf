package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hawser-io/hawser/lab/internal/image"
)

func (a *app) imageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Put images into the lab's registry"}
	cmd.AddCommand(a.imagePushCommand())
	return cmd
}

func (a *app) imagePushCommand() *cobra.Command {
	var binary, user string
	cmd := &cobra.Command{
		Use:   "push NAME:TAG --binary PATH",
		Short: "Make an image of one static binary, push it, and print its reference",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			built, err := image.Build(image.Binary(binary, "app", user))
			if err != nil {
				return err
			}
			reference := registryAddress(a.layout) + "/" + args[0]
			digest, err := image.Push(cmd.Context(), built, reference)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return json.NewEncoder(a.out).Encode(map[string]string{"reference": reference, "digest": digest})
			}
			fmt.Fprintln(a.out, reference)
			return nil
		},
	}
	cmd.Flags().StringVar(&binary, "binary", "", "path of the binary, which becomes the entrypoint /app")
	cmd.Flags().StringVar(&user, "user", "65532", "user that it runs as")
	_ = cmd.MarkFlagRequired("binary") // the flag exists
	return cmd
}
