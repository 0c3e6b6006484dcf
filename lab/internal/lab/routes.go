package lab

import (
	"context"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/lab/internal/api"
)

// routes are the lab's API.
func (l *lab) routes() {
	l.server.Handle("GET /v1/status", func(r *http.Request) (any, error) { return l.report(r.Context()), nil })
	l.server.Handle("GET /v1/gateway", func(r *http.Request) (any, error) { return l.gateway(r.Context()) })
	l.server.Handle("POST /v1/gateway/move", l.moveGateway)
	l.server.Handle("POST /v1/gateway/add", l.addGateway)
	l.server.Handle("POST /v1/gateway/silence/{address}", l.silenceGateway)
	l.server.Handle("POST /v1/gateway/publish/{how}", l.publishGateway)
	l.server.Handle("POST /v1/components/{name}/stop", func(r *http.Request) (any, error) {
		return struct{}{}, l.supervisor.Hold(r.Context(), r.PathValue("name"))
	})
	l.server.Handle("POST /v1/components/{name}/start", func(r *http.Request) (any, error) {
		return struct{}{}, l.supervisor.Release(r.Context(), r.PathValue("name"))
	})
	l.etcdRoutes()
	l.istioRoutes()
	l.machineRoutes()
	l.memoryRoutes()
}

func (l *lab) report(ctx context.Context) api.Report {
	steps, phase, reason := l.progress.Snapshot()
	asking, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	gateway, _ := l.gateway(asking)  // it has none yet, or the API server is down, which the components show
	machines, _ := l.machines.List() // an unreadable folder has none that could be shown
	return api.Report{
		Phase: phase, Reason: reason, Steps: steps, Components: l.supervisor.Status(), Machines: machines, Gateway: gateway,
	}
}
