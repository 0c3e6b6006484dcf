package lab

import (
	"context"
	"errors"
	"net/http"

	"github.com/hawser-io/hawser/lab/internal/mesh"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// changeRoot takes a step of a rotation.
func (l *lab) changeRoot(r *http.Request) (any, error) {
	if l.balancer.Load() == nil {
		return nil, errors.New("the mesh has no roots yet: the cluster is still starting")
	}
	roots := mesh.NewRoots(l.client.Kubernetes)
	step := map[string]func(context.Context) error{"add": roots.Add, "use": roots.Use, "drop": roots.Drop}[r.PathValue("step")]
	if step == nil {
		return nil, &sandbox.RequestError{Message: "a root is added, used or dropped"}
	}
	return struct{}{}, step(r.Context())
}
