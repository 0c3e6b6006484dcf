package ctl

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra/doc"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/hawser-io/hawser/internal/golden"
)

// run runs a command line without a cluster.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	streams, _, out, errOut := genericiooptions.NewTestIOStreams()
	code = Run(t.Context(), args, streams)
	return out.String(), errOut.String(), code
}

// TestMistakes: what is typed wrong is told without asking a cluster, with what to try next.
func TestMistakes(t *testing.T) {
	cases := map[string]struct{ args, want, next string }{
		"unknown-command":    {"gte", `hawser does not know "gte"`, "hawser get"},
		"unknown-child":      {"get pods", `hawser get does not know "pods"`, "hawser get --help"},
		"unknown-flag":       {"get machines --all", "unknown flag: --all", "hawser get machines --help"},
		"output":             {"get machines -o xml", "the formats are wide, json, yaml, name", "hawser get machines --help"},
		"output-of-create":   {"token create --group a/b -o name", "the formats are token, json, yaml", "hawser token create --help"},
		"two-machines":       {"get machines a b", `does not know what to do with "b"`, "hawser get machines --help"},
		"no-machine":         {"describe machine", "hawser describe machine wants the name of a machine", "hawser describe machine --help"},
		"no-token":           {"token revoke", "hawser token revoke wants the name of a join token", "hawser token revoke --help"},
		"no-group":           {"token create", "a token is for one WorkloadGroup: --group is missing", "hawser get groups -A, then hawser token create --group NAMESPACE/NAME"},
		"ttl-short":          {"token create --group a/b --ttl 1s", "--ttl 1s: a token lives 1m to 720h", "hawser token create --help"},
		"ttl-long":           {"token create --group a/b --ttl 9000h", "a token lives 1m to 720h", "hawser token create --help"},
		"uses":               {"token create --group a/b --uses 0", "--uses 0: 1 to 1000 machines may join with a token", "hawser token create --help"},
		"uses-with-hostname": {"token create --group a/b --uses 2 --hostname h", "--uses 2 with --hostname: one name is one machine", "hawser token create --help"},
		"hostname":           {"token create --group a/b --hostname my_host", "--hostname: it may hold only letters", "hostname, on the machine"},
		"cidr":               {"token create --group a/b --cidr 10.1.2.3", "--cidr 10.1.2.3 is no address range", "--cidr 10.1.0.0/16, or --cidr 10.1.2.3/32 for one address"},
		"group-parts":        {"--server http://127.0.0.1:1 token create --group a/b/c", `a group is NAMESPACE/NAME or NAME, not "a/b/c"`, "hawser get groups -A"},
		"two-namespaces":     {"--server http://127.0.0.1:1 -n x token create --group a/b", "--group says namespace a and -n says x", "the group without its namespace, or no -n"},
		"no-cluster":         {"get machines", "no cluster is configured", "kubectl config get-contexts, or --kubeconfig FILE, or export KUBECONFIG=FILE"},
		"no-context":         {"--context nowhere get machines", "hawser: context was not found for specified context: nowhere", "kubectl config get-contexts"},
		"unreachable":        {"--server http://127.0.0.1:1 get machines", "cannot reach the cluster at http://127.0.0.1:1", "kubectl cluster-info"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := run(t, strings.Fields(c.args)...)
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, output %q", code, stdout)
			}
			message, next, _ := strings.Cut(stderr, "\n  try: ")
			if !strings.HasPrefix(message, "hawser: ") || !strings.Contains(message, c.want) || strings.TrimSpace(next) != c.next {
				t.Errorf("got:\n%s\nwant %q, then %q", stderr, c.want, c.next)
			}
		})
	}
}

func TestVersionNeedsNoCluster(t *testing.T) {
	stdout, stderr, code := run(t, "version")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "manager  unknown: no cluster is configured") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	stdout, _, code = run(t, "version", "--client", "-o", "json")
	if code != 0 || !strings.Contains(stdout, `"client": {`) || strings.Contains(stdout, "manager") {
		t.Errorf("exit code %d, %q", code, stdout)
	}
}

// TestReference keeps docs/reference/cli as the commands are.
func TestReference(t *testing.T) {
	const committed = "../../docs/reference/cli"
	folder := t.TempDir()
	if golden.Updating() {
		folder = committed
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := New(genericiooptions.NewTestIOStreamsDiscard())
	root.InitDefaultCompletionCmd()
	if err := doc.GenMarkdownTree(root, folder); err != nil {
		t.Fatal(err)
	}
	want, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	have, err := filepath.Glob(filepath.Join(committed, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != len(have) {
		t.Errorf("%d pages in %s, %d commands: go test ./internal/ctl -update", len(have), committed, len(want))
	}
	for _, page := range want {
		generated, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		written, err := os.ReadFile(filepath.Join(committed, filepath.Base(page)))
		if err != nil || !bytes.Equal(generated, written) {
			t.Errorf("%s is not current: go test ./internal/ctl -update (%v)", filepath.Base(page), err)
		}
	}
}
