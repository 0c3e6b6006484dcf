package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/hawser-io/hawser/lab/internal/api"
	"github.com/hawser-io/hawser/lab/internal/build"
	"github.com/hawser-io/hawser/lab/internal/mesh"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
	"github.com/hawser-io/hawser/lab/internal/setup"
)

// istioRoutes are the part of the API that is about control planes.
func (l *lab) istioRoutes() {
	l.server.Handle("POST /v1/istio/root/{step}", l.changeRoot)
	l.server.Handle("GET /v1/istio/revisions", func(*http.Request) (any, error) { return revised(l, listRevisions) })
	l.server.Handle("PUT /v1/istio/revisions/{revision}", l.installRevision)
	l.server.Handle("DELETE /v1/istio/revisions/{revision}", func(r *http.Request) (any, error) {
		revision := r.PathValue("revision")
		if revision == api.DefaultRevision {
			return nil, &sandbox.RequestError{Message: "the gateway needs the default revision, which the lab is installed with"}
		}
		return revised(l, func(revisions mesh.Revisions) (any, error) {
			return struct{}{}, revisions.Remove(r.Context(), revision)
		})
	})
	l.server.Handle("PUT /v1/istio/tags/{tag}", func(r *http.Request) (any, error) {
		return revised(l, func(revisions mesh.Revisions) (any, error) {
			return struct{}{}, revisions.Tag(r.Context(), r.PathValue("tag"), nameOf(r.URL.Query().Get("revision")))
		})
	})
	l.server.Handle("DELETE /v1/istio/tags/{tag}", func(r *http.Request) (any, error) {
		return revised(l, func(revisions mesh.Revisions) (any, error) {
			return struct{}{}, revisions.Untag(r.Context(), r.PathValue("tag"))
		})
	})
}

func listRevisions(revisions mesh.Revisions) (any, error) {
	installed, err := revisions.List()
	all := []api.IstioRevision{}
	for _, config := range installed {
		all = append(all, api.IstioRevision{Name: cmp.Or(config.Revision, api.DefaultRevision), Version: config.Tag, Tags: config.Tags})
	}
	return all, err
}

// installRevision installs a version of Istio, whose programs the caller has built, as a revision.
func (l *lab) installRevision(r *http.Request) (any, error) {
	var istio build.Istio
	if err := json.NewDecoder(r.Body).Decode(&istio); err != nil || istio.Istiod == "" {
		return nil, &sandbox.RequestError{Message: "the body must be the programs of a version of Istio"}
	}
	return revised(l, func(revisions mesh.Revisions) (any, error) {
		if err := l.provide(r.Context(), setup.IstioImages(istio)); err != nil {
			return nil, err
		}
		config := l.meshConfig(istio)
		config.Revision = nameOf(r.PathValue("revision"))
		return struct{}{}, revisions.Install(r.Context(), config)
	})
}

// nameOf is how Istio's chart calls a revision: the default one has no name there.
func nameOf(revision string) string {
	if revision == api.DefaultRevision {
		return ""
	}
	return revision
}

// revised does something with the control planes, if there is a cluster for them yet.
func revised(l *lab, do func(mesh.Revisions) (any, error)) (any, error) {
	if l.balancer.Load() == nil {
		return nil, errors.New("there is no mesh yet: the cluster is still starting")
	}
	result, err := do(mesh.NewRevisions(l.client, l.setup.Artifacts.Istio.Module))
	if errors.Is(err, mesh.ErrNoRevision) {
		return nil, &sandbox.RequestError{Message: err.Error()}
	}
	return result, err
}

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
