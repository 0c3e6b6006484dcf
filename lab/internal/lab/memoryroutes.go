package lab

import (
	"net/http"
	"strconv"

	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// memoryRoutes are the part of the API that is about machines' memory.
func (l *lab) memoryRoutes() {
	l.server.Handle("GET /v1/machines/{name}/memory", func(r *http.Request) (any, error) { return l.machines.Memory(r.PathValue("name")) })
	l.server.Handle("POST /v1/machines/{name}/memory", func(r *http.Request) (any, error) {
		limit, err := strconv.ParseInt(r.URL.Query().Get("limit"), 10, 64)
		if err != nil || limit < 0 {
			return nil, &sandbox.RequestError{Message: "limit must be a number of bytes, or 0 for none"}
		}
		return l.machines.LimitMemory(r.PathValue("name"), limit)
	})
}
