package cli

import (
	"context"
	"fmt"

	hawserv1 "github.com/hawser-io/hawser/api/proto/hawser/v1"
	"github.com/hawser-io/hawser/internal/agent/hostfacts"
	"github.com/hawser-io/hawser/internal/agent/join"
	"github.com/hawser-io/hawser/internal/agent/preflight"
)

// needBytes is room for two versions of the proxy, about 130 MB each; the real sizes are known once the manager has told.
const needBytes = 300 << 20

// checked is the host behind its preflight.
type checked struct{ program *Program }

var _ join.Host = checked{}

// Check returns what the manager wants to know of a host that can join, else all that keeps it from joining.
func (c checked) Check(ctx context.Context, manager string) (*hawserv1.HostFacts, error) {
	facts, err := c.program.host().Facts(ctx)
	if err != nil {
		return nil, err
	}
	if problems := preflight.Check(facts, preflight.Need{Bytes: needBytes, Intercept: true}); len(problems) > 0 {
		unfit := &join.Unfit{}
		for _, problem := range problems {
			unfit.Problems = append(unfit.Problems, problem.Error())
		}
		return nil, unfit
	}
	observed, err := hostfacts.Observe(ctx, manager)
	if err != nil {
		return nil, fmt.Errorf("look at the host: %w", err)
	}
	return observed, nil
}
