package cluster

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Pull fetches an image into containerd. The kubelet would do it later, one after another; and it would keep an older
// image that it has by the same name.
func Pull(ctx context.Context, config Config, reference string) error {
	cmd := exec.CommandContext(ctx, "ctr", "--address", containerdSocket(), "--namespace", "k8s.io",
		"images", "pull", "--hosts-dir", config.path("node", "certs.d"), reference)
	if out, err := cmd.CombinedOutput(); err != nil {
		said := strings.TrimSpace(string(out))
		return fmt.Errorf("pull %s: %w: %s", reference, err, said[max(0, len(said)-500):])
	}
	return nil
}
