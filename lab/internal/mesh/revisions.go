package mesh

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	helm "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"

	"github.com/hawser-io/hawser/lab/internal/cluster"
)

// revisionYAML opens a revision's istiod on the gateway.
//
//go:embed files/revision.yaml
var revisionYAML string

// ErrNoRevision is wrapped by errors about a revision that is not installed.
var ErrNoRevision = errors.New("no such revision")

// Revisions changes which control planes there are beside the first one, each a release of Istio's own chart.
type Revisions struct {
	client *cluster.Client
	module string
}

// NewRevisions are those of a cluster; module is the source of istio.io/istio.
func NewRevisions(client *cluster.Client, module string) Revisions { return Revisions{client, module} }

// Install installs a revision, or gives it another version, and waits until it serves. The tags that it has stay.
func (r Revisions) Install(ctx context.Context, config Config) error {
	installed, err := r.config(config.Revision)
	if err != nil && !errors.Is(err, ErrNoRevision) {
		return err
	}
	config.Tags = installed.Tags
	if err := installIstiod(ctx, config, r.client); err != nil {
		return err
	}
	if config.Revision == "" {
		return nil
	}
	return r.client.Apply(ctx, strings.ReplaceAll(revisionYAML, "ISTIOD", Istiod(config.Revision)))
}

// Remove takes a revision away, with its tags.
func (r Revisions) Remove(ctx context.Context, revision string) error {
	if _, err := r.config(revision); err != nil {
		return err
	}
	if err := r.client.Delete(ctx, strings.ReplaceAll(revisionYAML, "ISTIOD", Istiod(revision))); err != nil {
		return err
	}
	configuration, err := helmOf(r.client)
	if err != nil {
		return err
	}
	uninstall := action.NewUninstall(configuration)
	uninstall.WaitStrategy, uninstall.Timeout = kube.HookOnlyStrategy, time.Minute
	if _, err := uninstall.Run(Istiod(revision)); err != nil {
		return fmt.Errorf("remove %s: %w", Istiod(revision), err)
	}
	return nil
}

// Tag has a tag stand for a revision, and for no other one.
func (r Revisions) Tag(ctx context.Context, tag, revision string) error {
	config, err := r.config(revision)
	if err != nil {
		return err
	}
	if err := r.Untag(ctx, tag, revision); err != nil || slices.Contains(config.Tags, tag) {
		return err
	}
	config.Tags = append(config.Tags, tag)
	return installIstiod(ctx, config, r.client)
}

// Untag has a tag stand for no revision but those that keep it.
func (r Revisions) Untag(ctx context.Context, tag string, keep ...string) error {
	all, err := r.List()
	if err != nil {
		return err
	}
	for _, config := range all {
		if slices.Contains(keep, config.Revision) || !slices.Contains(config.Tags, tag) {
			continue
		}
		config.Tags = slices.DeleteFunc(config.Tags, func(other string) bool { return other == tag })
		if err := installIstiod(ctx, config, r.client); err != nil {
			return err
		}
	}
	return nil
}

// List lists what each revision was installed with, by name, the one without first.
func (r Revisions) List() ([]Config, error) {
	configuration, err := helmOf(r.client)
	if err != nil {
		return nil, err
	}
	deployed, err := configuration.Releases.ListDeployed()
	if err != nil {
		return nil, fmt.Errorf("list Helm's releases: %w", err)
	}
	var all []Config
	for _, each := range deployed {
		if release, ok := each.(*helm.Release); ok && isIstiod(release.Name) {
			all = append(all, r.configOf(release))
		}
	}
	slices.SortFunc(all, func(a, b Config) int { return cmp.Compare(a.Revision, b.Revision) })
	return all, nil
}

func isIstiod(release string) bool {
	return release == "istiod" || strings.HasPrefix(release, "istiod-")
}

// config is what an installed revision was installed with.
func (r Revisions) config(revision string) (Config, error) {
	configuration, err := helmOf(r.client)
	if err != nil {
		return Config{}, err
	}
	last, err := configuration.Releases.Last(Istiod(revision))
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return Config{}, fmt.Errorf("%w: %s (see: hawser-lab istio list)", ErrNoRevision, cmp.Or(revision, "default"))
	}
	if err != nil {
		return Config{}, fmt.Errorf("read Helm's release %s: %w", Istiod(revision), err)
	}
	release, ok := last.(*helm.Release)
	if !ok {
		return Config{}, fmt.Errorf("release %s of Helm is of another kind than those of this lab", Istiod(revision))
	}
	return r.configOf(release), nil
}

func (r Revisions) configOf(release *helm.Release) Config {
	config := Config{Module: r.module}
	config.Revision, _ = release.Config["revision"].(string)
	if global, ok := release.Config["global"].(map[string]any); ok {
		config.Hub, _ = global["hub"].(string)
		config.Tag, _ = global["tag"].(string)
	}
	if tags, ok := release.Config["revisionTags"].([]any); ok {
		for _, tag := range tags {
			if name, ok := tag.(string); ok {
				config.Tags = append(config.Tags, name)
			}
		}
	}
	return config
}
