package lab

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/hawser-io/hawser/lab/internal/machine"
	"github.com/hawser-io/hawser/lab/internal/network"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// machineRoutes are the part of the API that is about machines and their links.
func (l *lab) machineRoutes() {
	l.server.Handle("GET /v1/machines", func(*http.Request) (any, error) { return l.machines.List() })
	l.server.Handle("PUT /v1/machines/{name}", func(r *http.Request) (any, error) {
		resolved, err := strconv.ParseBool(r.URL.Query().Get("resolved"))
		if err != nil {
			return nil, &sandbox.RequestError{Message: "resolved must be true or false"}
		}
		return l.machines.Add(r.Context(), r.PathValue("name"), machine.Options{Resolved: resolved})
	})
	l.server.Handle("DELETE /v1/machines/{name}", func(r *http.Request) (any, error) {
		return struct{}{}, l.machines.Remove(r.Context(), r.PathValue("name"))
	})
	l.server.Handle("POST /v1/machines/{name}/start", func(r *http.Request) (any, error) {
		return l.machines.Start(r.Context(), r.PathValue("name"))
	})
	l.server.Handle("POST /v1/machines/{name}/stop", func(r *http.Request) (any, error) {
		return l.machines.Stop(r.Context(), r.PathValue("name"))
	})
	l.server.Handle("POST /v1/machines/{name}/reboot", func(r *http.Request) (any, error) {
		return l.machines.Reboot(r.Context(), r.PathValue("name"))
	})
	l.server.Handle("POST /v1/machines/{name}/link/cut", func(r *http.Request) (any, error) {
		return l.changeLink(r, func(name string) error {
			return l.network.Cut(r.Context(), name, network.Direction(r.URL.Query().Get("direction")))
		})
	})
	l.server.Handle("POST /v1/machines/{name}/link/restore", func(r *http.Request) (any, error) {
		return l.changeLink(r, func(name string) error { return l.network.Restore(r.Context(), name) })
	})
}

// changeLink refuses names of machines that do not exist: the network itself would take any.
func (l *lab) changeLink(r *http.Request, change func(name string) error) (any, error) {
	name := r.PathValue("name")
	if _, err := l.machines.Spec(name); errors.Is(err, machine.ErrNotFound) {
		return nil, &sandbox.RequestError{Message: fmt.Sprintf("there is no machine %s; see `hawser-lab vm list`", name)}
	}
	if err := change(name); err != nil {
		return nil, err
	}
	return l.network.Link(name), nil
}
