package lab

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/hawser-io/hawser/lab/internal/api"
	"github.com/hawser-io/hawser/lab/internal/cluster"
	"github.com/hawser-io/hawser/lab/internal/mesh"
	"github.com/hawser-io/hawser/lab/internal/sandbox"
)

// balanced returns the balancer, which is there as soon as the cluster is.
func (l *lab) balanced() (*cluster.Balancer, error) {
	balancer := l.balancer.Load()
	if balancer == nil {
		return nil, errors.New("the gateway has no address yet: the cluster is still starting")
	}
	return balancer, nil
}

func (l *lab) gateway(ctx context.Context) ([]netip.Addr, error) {
	balancer, err := l.balanced()
	if err != nil {
		return nil, err
	}
	return balancer.Addresses(ctx, mesh.Namespace, mesh.GatewayName)
}

func (l *lab) moveGateway(r *http.Request) (any, error) {
	overlap, err := time.ParseDuration(r.URL.Query().Get("overlap"))
	if err != nil || overlap < 0 {
		return nil, &sandbox.RequestError{Message: "the overlap must be a duration such as 10s"}
	}
	balancer, err := l.balanced()
	if err != nil {
		return nil, err
	}
	return balancer.Move(r.Context(), mesh.Namespace, mesh.GatewayName, overlap)
}

func (l *lab) addGateway(r *http.Request) (any, error) {
	balancer, err := l.balanced()
	if err != nil {
		return nil, err
	}
	return balancer.Add(r.Context(), mesh.Namespace, mesh.GatewayName)
}

func (l *lab) silenceGateway(r *http.Request) (any, error) {
	addr, err := netip.ParseAddr(r.PathValue("address"))
	if err != nil {
		return nil, &sandbox.RequestError{Message: "give one of the gateway's addresses (`hawser-lab gateway address`)"}
	}
	balancer, err := l.balanced()
	if err != nil {
		return nil, err
	}
	return struct{}{}, balancer.Silence(r.Context(), mesh.Namespace, mesh.GatewayName, addr)
}

func (l *lab) publishGateway(r *http.Request) (any, error) {
	hostname := ""
	switch r.PathValue("how") {
	case "name":
		hostname = api.GatewayName
	case "addresses":
	default:
		return nil, &sandbox.RequestError{Message: "the gateway is published by its name or by its addresses"}
	}
	balancer, err := l.balanced()
	if err != nil {
		return nil, err
	}
	return struct{}{}, balancer.Name(r.Context(), mesh.Namespace, mesh.GatewayName, hostname)
}
